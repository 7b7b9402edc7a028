-- Datasets of a workspace, in versions. The tables `datasets` and `run_datasets` are about something else: what MLflow's
-- clients say that their runs read.

create table versioned_datasets (
    id           uuid primary key,
    -- Short: it is in every row of `dataset_objects`.
    key          bigint generated always as identity unique,
    workspace_id uuid not null references workspaces (id),
    name         text collate "C" not null,
    description  text not null default '',
    expectations jsonb not null default '[]',
    author_id    uuid references users (id),
    -- As the author was called then.
    author       text not null,
    -- The number of the last version. None is given twice, also when the version was deleted.
    last_number  integer not null default 0,
    -- When to look for packs that nothing needs; none while there can be none.
    sweep_after  timestamptz,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    unique (workspace_id, name)
);
create index versioned_datasets_author on versioned_datasets (author_id);
create index versioned_datasets_sweep on versioned_datasets (sweep_after) where sweep_after is not null;

create table dataset_versions (
    id         uuid primary key,
    dataset_id uuid not null references versioned_datasets (id),
    number     integer not null,
    -- The digest of the root of its manifest.
    root       bytea not null check (length(root) = 32),
    files      bigint not null,
    bytes      bigint not null,
    external   bigint not null,
    message    text not null,
    author_id  uuid references users (id),
    author     text not null,
    created_at timestamptz not null,
    deleted_at timestamptz,
    unique (dataset_id, number)
);
create unique index dataset_versions_root on dataset_versions (dataset_id, root) where deleted_at is null;
create index dataset_versions_author on dataset_versions (author_id);

-- What a version is stays what it is.
create function refuse_other_version() returns trigger language plpgsql as $$
begin
    raise exception 'a version of a dataset is never changed';
end
$$;
create trigger dataset_versions_fixed before update on dataset_versions
    for each row
    when ((old.id, old.dataset_id, old.number, old.root, old.files, old.bytes, old.external, old.message, old.author_id,
           old.author, old.created_at)
          is distinct from
          (new.id, new.dataset_id, new.number, new.root, new.files, new.bytes, new.external, new.message, new.author_id,
           new.author, new.created_at))
    execute function refuse_other_version();

-- What MLflow's clients call the content of a version: eight hexadecimal digits, as a rule, that may be those of others.
create table dataset_digests (
    version_id uuid not null references dataset_versions (id),
    digest     text collate "C" not null,
    primary key (version_id, digest)
);
create index dataset_digests_digest on dataset_digests (digest);

-- Objects come in packs: one row a body in the artifact store, whose name there is the id.
create table dataset_packs (
    id         uuid primary key,
    key        bigint generated always as identity unique,
    dataset_id uuid not null references versioned_datasets (id),
    bytes      bigint not null,
    created_at timestamptz not null default now(),
    -- When a client was last told that something in it is there and need not be sent.
    wanted_at  timestamptz not null default now()
);
create index dataset_packs_dataset on dataset_packs (dataset_id);

-- Where each object lies. Each is known to one dataset: nobody learns from another's digests what is there.
create table dataset_objects (
    dataset_key bigint not null,
    digest      bytea not null,
    pack_key    bigint not null references dataset_packs (key),
    at          integer not null,
    size        integer not null,
    primary key (dataset_key, digest)
);
create index dataset_objects_pack on dataset_objects (pack_key);

-- Pages, and lists of chunks, that were read and found whole: all that they need is there.
create table dataset_nodes (
    dataset_key bigint not null,
    digest      bytea not null,
    entries     bigint not null,
    external    bigint not null,
    bytes       bigint not null,
    -- Paths; empty for a list.
    first       text collate "C" not null,
    last        text collate "C" not null,
    is_ended    boolean not null,
    -- When a client was last told that it is there.
    wanted_at   timestamptz not null default now(),
    primary key (dataset_key, digest)
);

-- What tables of a version hold, and whether it is what was expected. A worker finds out.
create table dataset_profiles (
    version_id   uuid primary key references dataset_versions (id),
    round        integer not null default 1,
    state        text not null default 'waiting' check (state in ('waiting', 'done', 'failed')),
    reason       text not null default '',
    asked_at     timestamptz not null default now(),
    held_until   timestamptz,
    tries        integer not null default 0,
    ended_at     timestamptz,
    -- As the expectations of the dataset were when it was profiled.
    checks_state text not null default 'waiting'
        check (checks_state in ('waiting', 'unchecked', 'passed', 'failed', 'inconclusive')),
    tables       jsonb not null default '[]',
    checks       jsonb not null default '[]'
);
create index dataset_profiles_waiting on dataset_profiles (asked_at) where state = 'waiting';
