-- Steps that stand in each other, that a matrix or a map makes many of, and that wait for limits. What has become of a run's
-- steps is counted where it is asked for, so that a run of ten thousand steps costs no more a step than one of ten.

create table limits (
    -- 'tag:WORKSPACE:NAME', 'pool:NAME', 'map:STEP'.
    key          text primary key,
    kind         text not null check (kind in ('tag', 'pool', 'map')),
    workspace_id uuid references workspaces (id),
    name         text not null,
    slots        integer not null check (slots >= 0),
    created_at   timestamptz not null default now(),
    check ((kind = 'tag') = (workspace_id is not null))
);
create index limits_workspace on limits (workspace_id);

-- Who takes a place of a limit. A hold ends with the fence that it was taken under.
create table limit_holds (
    key     text not null references limits (key) on delete cascade,
    fence   bigint not null,
    step_id uuid not null references steps (id),
    primary key (key, fence)
);
create index limit_holds_fence on limit_holds (fence);
create index limit_holds_step on limit_holds (step_id);

alter table pipeline_runs
    -- Steps at the top that have not ended, without those that run in the end; and these.
    add column top_open        integer not null default 0,
    add column finally_open    integer not null default 0,
    -- Steps at the top that failed, or were cancelled.
    add column top_failed      integer not null default 0,
    add column top_cancelled   integer not null default 0,
    -- Commands: all that are known of, and those that have ended.
    add column steps_total     integer not null default 0,
    add column steps_ended     integer not null default 0;

alter table steps
    add column workspace_id  uuid references workspaces (id),
    -- 'command' is what a worker runs; 'steps' has steps of its own; 'many' stands for what a matrix or a map makes of it.
    add column kind          text not null default 'command' check (kind in ('command', 'steps', 'many')),
    -- Where it stands in the file: names from the outside to the inside.
    add column place         text[],
    -- The step that it is inside of, or an instance of.
    add column parent_id     uuid references steps (id),
    -- What the matrices and maps around it gave to this instance.
    add column items         jsonb not null default '{}',
    add column trigger_rule  text not null default 'all_success' check (trigger_rule in ('all_success', 'all_done')),
    add column finally       boolean not null default false,
    add column has_condition boolean not null default false,
    -- Of a step with steps of its own: those that have not ended, and what became of the others.
    add column inner_open      integer not null default 0,
    add column inner_failed    integer not null default 0,
    add column inner_cancelled integer not null default 0,
    add column priority      smallint not null default 0,
    add column executor      text not null default 'process',
    -- Keys of the limits that count it while it runs.
    add column limits        text[] not null default '{}',
    -- The limit that it waits for.
    add column blocked_by    text;

update steps s
set workspace_id = r.workspace_id,
    place = array[s.name]
from pipeline_runs r
where r.id = s.run_id;
alter table steps
    alter column workspace_id set not null,
    alter column place set not null,
    drop constraint steps_check,
    add constraint steps_held check (
        (state = 'running' and kind = 'command') = (fence is not null and lease_until is not null and lease_owner is not null)
    );
update pipeline_runs r
set top_open = counted.open,
    top_failed = counted.failed,
    top_cancelled = counted.cancelled,
    steps_total = counted.total,
    steps_ended = counted.total - counted.open
from (select run_id,
          count(*) filter (where state in ('waiting', 'ready', 'running')) as open,
          count(*) filter (where state = 'failed') as failed,
          count(*) filter (where state = 'cancelled') as cancelled,
          count(*) as total
      from steps
      group by run_id) as counted
where counted.run_id = r.id;

drop index steps_ready;
create index steps_ready on steps (pool, executor, workspace_id, priority, next_at) where state = 'ready' and blocked_by is null;
create index steps_blocked on steps (blocked_by, priority desc, next_at) where state = 'ready' and blocked_by is not null;
create index steps_running on steps (workspace_id) where state = 'running' and kind = 'command';
create index steps_due on steps (run_id) where state = 'waiting' and needs_left <= 0;
create index steps_parent on steps (parent_id, position);
create index steps_workspace on steps (workspace_id);
create index steps_top on steps (run_id, finally) where parent_id is null and state in ('waiting', 'ready', 'running');

alter table step_attempts
    -- When the step could have been taken, and when its process began.
    add column ready_at   timestamptz,
    add column spawned_at timestamptz;
