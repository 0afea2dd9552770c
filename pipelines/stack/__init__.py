"""The processes of Monsoon's stack on one machine: Kafka's broker, ZooKeeper, Flink's JobManager and TaskManagers.

Belongs here: how they are fetched, configured, started, watched and ended. Does not: any job, or what a job reads and
writes.
"""
