-- What became of the runs that pages.py started: most instances of `wide` #1 have ended, :ended runs of twenty steps lie behind,
-- and the first instance has a log of :lines lines.
--   psql --variable ended=10000 --variable lines=1000000 --file pages.sql
\set ON_ERROR_STOP on
\set QUIET on
set synchronous_commit = off;
select r.id as run, r.workspace_id as workspace from pipeline_runs r where r.number = 1 \gset
select count(*) as steps from steps where run_id = :'run' and kind = 'command' \gset

-- Of a hundred instances, 60 succeeded; of a thousand, two failed; the others wait.
create temporary table told as
select s.id, row_number() over (order by s.position) as n, nextval('fences') as fence, gen_random_uuid() as attempt
from steps s
where s.run_id = :'run' and s.kind = 'command';
update steps s
set state = case when t.n % 500 = 77 then 'failed' when t.n % 100 < 60 then 'succeeded' else s.state end,
    reason = case when t.n % 500 = 77 then 'exit status 1' else '' end,
    attempts = 1,
    started_at = now() - interval '1 hour' + interval '0.3 s' * t.n,
    ended_at = now() - interval '1 hour' + interval '0.3 s' * t.n + interval '7 s'
from told t
where s.id = t.id and (t.n % 100 < 60 or t.n % 500 = 77);
insert into step_attempts (id, step_id, number, fence, worker, outcome, reason, exit_code, started_at, ended_at, log_lines, executor)
select t.attempt, s.id, 1, t.fence, 'host-1:4711', s.state, s.reason, case s.state when 'failed' then 1 else 0 end,
    s.started_at, s.ended_at, 0, 'process'
from told t
join steps s on s.id = t.id
where s.state in ('succeeded', 'failed');
update pipeline_runs
set state = 'running', started_at = now() - interval '1 hour', steps_ended = (select count(*) from step_attempts)
where id = :'run';

-- A log in chunks of 200 lines, and what its try used for ten hours.
select attempt from told where n = 1 \gset
insert into log_chunks (attempt_id, first_line, lines, content)
select :'attempt', 1 + chunk * 200, 200,
    (select jsonb_agg(jsonb_build_array(1700000000000 + line * 10, 'out',
         E'\u001b[34mINFO\u001b[0m  train  step ' || line || ' loss ' || round(1.0 / (1 + line), 6)) order by line)
     from generate_series(1 + chunk * 200, 200 + chunk * 200) line)
from generate_series(0, :lines / 200 - 1) chunk;
update step_attempts set log_lines = :lines / 200 * 200 where id = :'attempt';
insert into step_samples
select :'attempt', now() - interval '10 hours' + interval '60 s' * n, 60, 1 + sin(n / 9.0), 2, 400000000 + n * 1000000,
    410000000 + n * 1000000, n * 1000, n * 2000, '[]'
from generate_series(1, 600) n;

-- Runs that lie behind, all made like the first of `short`, with more steps.
create temporary table ended as
select n, gen_random_uuid() as id, now() - interval '10 minutes' * (:ended - n) as at,
    case when n % 10 = 3 then 'failed' when n % 25 = 7 then 'cancelled' else 'succeeded' end as state
from generate_series(1, :ended) n;
select coalesce(max(number), 0) as last from pipeline_runs where workspace_id = :'workspace' \gset
insert into pipeline_runs (id, workspace_id, pipeline_id, version_id, number, state, params, cause, cause_name, started_by_name,
    created_at, started_at, ended_at, steps_total, steps_ended)
select e.id, f.workspace_id, f.pipeline_id, f.version_id, :last + e.n, e.state,
    jsonb_build_object('day', to_char(e.at, 'YYYY-MM-DD'), 'rows', 1000 + e.n), case when e.n % 3 = 0 then 'schedule' else 'api' end,
    case when e.n % 3 = 0 then 'nightly' end, case when e.n % 3 = 0 then 'nightly' else 'person-' || e.n % 7 end,
    e.at, e.at, e.at + interval '90 s', 20, 20
from ended e
cross join (
    select r.*
    from pipeline_runs r
    join pipelines p on p.id = r.pipeline_id
    where p.name = 'short'
    order by r.number
    limit 1) f;
-- Twenty steps each.
insert into steps (id, run_id, workspace_id, name, position, place, state, needs_left, attempts, started_at, ended_at)
select gen_random_uuid(), e.id, :'workspace', 's' || s, s, array['s' || s], 'succeeded', 0, 1, e.at, e.at + interval '4 s'
from ended e, generate_series(1, 20) s;
update workspace_counters set last = :last + :ended where workspace_id = :'workspace' and noun = 'pipeline_run';
vacuum analyze;
