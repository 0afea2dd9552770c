SELECT kind, count(*) AS n FROM dispatch.anomalies GROUP BY kind
