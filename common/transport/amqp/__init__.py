"""The transport over RabbitMQ. pika is imported nowhere else.

`link` maintains one connection: `publisher` and `subscriber` have one each, the producer's `control`
listener two more. `topology` has the names of exchanges and queues.
"""
