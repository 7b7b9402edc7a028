-- Notebooks that tries of steps run.
create table step_notebooks (
    attempt_id uuid primary key references step_attempts (id),
    -- Where it lay in the step's directory.
    path       text not null,
    -- How far it has come: {cells, done, cell, turn, name, since, failure}.
    progress   jsonb not null default '{}',
    -- The notebook as it was before, a blob.
    source     text,
    -- The executed notebook, a blob, once the try has ended.
    executed   text,
    -- Bytes of the executed notebook, as far as it was written.
    size       bigint,
    -- The executed notebook as far as it has come, compressed with zstd, until it is a blob. Of a try whose worker was
    -- lost it is what there is.
    live       bytea,
    updated_at timestamptz not null default clock_timestamp()
);
-- What a step gave again without running is found by what it gave.
create index step_notebooks_executed on step_notebooks (executed);
