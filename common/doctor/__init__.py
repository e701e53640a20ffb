"""`--doctor`: looks whether everything that a command needs is there, and says what to do if not.

`finding` is what a check says, `run` runs checks side by side, each within a time limit; `machine` and
`reach` are those that both commands have, `common.fanout.broker.examination` those of the broker.
"""
