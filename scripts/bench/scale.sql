-- Fills a migrated database with one experiment of :runs ended runs: 20 params, 20 metrics and 4 curves each, and 20 more
-- runs with a curve of 100,000 points, as clients would have logged them and before anything is packed.
--   psql --variable runs=100000 --file scale.sql
\set ON_ERROR_STOP on
\set QUIET on
set synchronous_commit = off;
select id as workspace from workspaces where slug = 'default' \gset
insert into experiments (workspace_id, name, creation_time, last_update_time)
values (:'workspace', 'scale', 0, 0)
returning id as experiment \gset

insert into log_keys (experiment_id, kind, name)
select :experiment, 'param', 'p' || n from generate_series(0, 19) n
union all select :experiment, 'metric', 'm' || n from generate_series(0, 19) n
union all select :experiment, 'metric', 'curve/' || n from generate_series(0, 3) n
union all select :experiment, 'metric', 'loss'
union all select :experiment, 'tag', 'mlflow.runName'
union all select :experiment, 'tag', 'team';

insert into runs (id, workspace_id, experiment_id, name, status, start_time, end_time, user_name)
select gen_random_uuid(), :'workspace', :experiment, 'run-' || n, 'FINISHED', 1700000000000 + n * 1000::bigint,
    1700000005000 + n * 1000::bigint, 'person-' || n % 7
from generate_series(1, :runs + 20) n;
select min(key) as first, max(key) as last from runs where experiment_id = :experiment \gset

insert into params (run_key, key_id, value)
select r.key, k.id, (hashint8(r.key * 31 + k.id) & 1023) % 10
from runs r
join log_keys k on k.experiment_id = r.experiment_id and k.kind = 'param'
where r.experiment_id = :experiment;
insert into run_tags (run_key, key_id, value)
select r.key, k.id, case k.name when 'team' then 'team-' || r.key % 9 else r.name end
from runs r
join log_keys k on k.experiment_id = r.experiment_id and k.kind = 'tag'
where r.experiment_id = :experiment;

-- One point of each metric.
insert into latest_metrics (run_key, key_id, step, timestamp, value)
select r.key, k.id, 0, r.start_time, (hashint8(r.key * 97 + k.id) & 1048575) / 1048576.0
from runs r
join log_keys k on k.experiment_id = r.experiment_id and k.kind = 'metric' and k.name like 'm%'
where r.experiment_id = :experiment;
insert into metric_journal (run_key, points)
select run_key, string_agg(int4send(key_id) || int8send(step) || int8send(timestamp) || float8send(value), ''::bytea)
from latest_metrics
where run_key between :first and :last
group by run_key;

-- Four curves of 120 points, which is 280 points of any metrics a row.
insert into latest_metrics (run_key, key_id, step, timestamp, value)
select r.key, k.id, 119, r.start_time + 119, 1.0 / 120 + (hashint8(r.key * 97 + k.id) & 1023) / 1e5
from runs r
join log_keys k on k.experiment_id = r.experiment_id and k.kind = 'metric' and k.name like 'curve/%'
where r.experiment_id = :experiment and r.key <= :last - 20;
insert into metric_journal (run_key, points)
select r.key,
    (select string_agg(
         int4send(k.id) || int8send(s) || int8send(r.start_time + s)
             || float8send(1.0 / (1 + s) + (hashint8(r.key * 97 + k.id + case s when 119 then 0 else s end) & 1023) / 1e5),
         ''::bytea order by s)
     from generate_series(part * 60, part * 60 + 59) s
     join log_keys k on k.experiment_id = :experiment and k.kind = 'metric' and k.name like 'curve/%')
from runs r, generate_series(0, 1) part
where r.experiment_id = :experiment and r.key <= :last - 20;

-- Twenty long ones.
insert into latest_metrics (run_key, key_id, step, timestamp, value)
select r.key, k.id, 99999, r.start_time + 99999, 0.5
from runs r
join log_keys k on k.experiment_id = r.experiment_id and k.kind = 'metric' and k.name = 'loss'
where r.key > :last - 20 and r.key <= :last;
insert into metric_journal (run_key, points)
select r.key,
    (select string_agg(
         int4send(k.id) || int8send(s) || int8send(r.start_time + s)
             || float8send(0.5 + 1.0 / (1 + s) + (hashint8(r.key + s * 7) & 1023) / 1e4),
         ''::bytea order by s)
     from generate_series(part * 250, part * 250 + 249) s
     join log_keys k on k.experiment_id = :experiment and k.kind = 'metric' and k.name = 'loss')
from runs r, generate_series(0, 399) part
where r.key > :last - 20 and r.key <= :last;
vacuum analyze;
select :experiment as experiment, count(*) as runs from runs where experiment_id = :experiment;
