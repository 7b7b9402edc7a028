-- Steps take and give on versions of datasets and models.

-- Which version a run means by a name: found out at first use, and the same for all its steps.
create table pipeline_run_pins (
    run_id uuid not null references pipeline_runs (id),
    kind   text not null check (kind in ('dataset', 'model')),
    name   text not null,
    -- As the pipeline's file says it: `latest`, a number, an alias, a digest.
    asked  text not null,
    number integer not null,
    -- Of the content; none for a model without files.
    digest text,
    primary key (run_id, kind, name, asked)
);
create index pipeline_run_pins_version on pipeline_run_pins (kind, name, number);

-- What a try took: [{name, from, digest, version}, …].
alter table step_attempts add column inputs jsonb not null default '[]';

-- The tracked run under which those of a pipeline run's steps are nested, made when the first of them is.
create table pipeline_run_parents (
    pipeline_run_id uuid primary key references pipeline_runs (id),
    run_id          uuid not null unique references runs (id)
);
