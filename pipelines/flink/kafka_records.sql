-- The records of all input topics, with what the broker knows of them.
CREATE TEMPORARY TABLE kafka_records (
    `value` BYTES,
    topic STRING METADATA VIRTUAL,
    `partition` INT METADATA VIRTUAL,
    arrived_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
    read_at AS PROCTIME()
) WITH ($options);

-- Each with the key of its partition, and the broker's timestamp in milliseconds.
CREATE TEMPORARY VIEW partitioned_records AS
SELECT
    $key AS partition_key,
    EXTRACT(EPOCH FROM arrived_at) * 1000 + EXTRACT(MILLISECOND FROM arrived_at) AS arrived_ms,
    CASE WHEN topic <> $control THEN `value` END AS `value`,
    read_at
FROM kafka_records;

-- Many records of a partition in one row, in their order: a row costs a call of Python, whatever it holds.
SELECT partition_key, ARRAY_AGG(arrived_ms), ARRAY_AGG(`value`)
FROM TABLE(TUMBLE(TABLE partitioned_records, DESCRIPTOR(read_at), INTERVAL '$gather_s' SECOND))
GROUP BY window_start, window_end, partition_key;
