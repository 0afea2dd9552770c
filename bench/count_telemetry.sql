-- What Flink SQL costs that merely reads telemetry and parses every column of it: the yardstick of `bench flink`.
-- {folder} is the folder of telemetry files.
CREATE TEMPORARY TABLE telemetry (
{columns}
) WITH (
    'connector' = 'filesystem',
    'path' = '{folder}',
    'format' = 'json',
    'json.ignore-parse-errors' = 'true'
);

SELECT {counts} FROM telemetry;
