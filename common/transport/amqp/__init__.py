"""The broker design: RabbitMQ between the producer and its consumers.

`link` keeps one connection, `publisher` and `subscriber` use one each (the producer's `control`
listener a third), `topology` has the names of exchanges and queues. pika is imported nowhere else.
"""
