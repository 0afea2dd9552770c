-- The records of all input topics, with what the broker knows of them.
CREATE TEMPORARY TABLE kafka_records (
    `value` BYTES,
    topic STRING METADATA VIRTUAL,
    `partition` INT METADATA VIRTUAL,
    arrived_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
    read_at AS PROCTIME()
) WITH ($options);

-- Each with the key of the task that reads its partition, and with the partition's code and the broker's timestamp (ms)
-- in one number: an array less in a row. No record is of before 1970; a record of after 2248 has the last moment.
CREATE TEMPORARY VIEW keyed_records AS
SELECT
    $key AS task_key,
    $code * $stamps + LEAST(GREATEST(
        EXTRACT(EPOCH FROM arrived_at) * 1000 + EXTRACT(MILLISECOND FROM arrived_at), 0), $stamps - 1) AS origin,
    CASE WHEN topic <> $control THEN `value` END AS `value`,
    read_at
FROM kafka_records;

-- Many records of a task's partitions in one row, those of each in their order: a row costs a call of Python, whatever
-- it holds. With the end of the time (s, of this machine) in which they were gathered.
SELECT EXTRACT(EPOCH FROM window_end), ARRAY_AGG(origin), ARRAY_AGG(`value`)
FROM TABLE(TUMBLE(TABLE keyed_records, DESCRIPTOR(read_at), INTERVAL '$gather_s' SECOND))
GROUP BY window_start, window_end, task_key;
