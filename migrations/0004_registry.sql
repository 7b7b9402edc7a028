-- Registered models, their versions, and the aliases that point at versions.

create table models (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    name         text collate "C" not null,
    description  text not null default '',
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    -- The last version number given: numbers of deleted versions are not given again.
    last_version integer not null default 0,
    deleted_at   timestamptz
);
create unique index models_name on models (workspace_id, name) where deleted_at is null;

create table model_tags (
    model_id uuid not null references models (id),
    key      text not null,
    value    text not null,
    primary key (model_id, key)
);

create table model_versions (
    id              uuid primary key,
    model_id        uuid not null references models (id),
    version         integer not null,
    source          text collate "C" not null,
    run_id          uuid references runs (id),
    run_link        text not null default '',
    logged_model_id uuid references logged_models (id),
    -- Where its files lie: a run or logged model, and the folder below that root.
    artifact_root   uuid,
    artifact_path   text not null default '',
    created_by      uuid references users (id),
    description     text not null default '',
    stage           text not null default 'None' check (stage in ('None', 'Staging', 'Production', 'Archived')),
    digest          text,
    size            bigint not null default 0,
    signature       jsonb,
    flavors         text[] not null default '{}',
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    deleted_at      timestamptz,
    unique (model_id, version)
);
create index model_versions_run on model_versions (run_id);
create index model_versions_logged_model on model_versions (logged_model_id);
create index model_versions_creator on model_versions (created_by);

-- The files of a version as they were when it was registered. Its digest is the digest of this list.
create table model_version_files (
    model_version_id uuid not null references model_versions (id),
    path             text collate "C" not null,
    digest           text not null,
    size             bigint not null,
    primary key (model_version_id, path)
);
create trigger model_version_files_append_only before update or delete on model_version_files
    for each statement execute function refuse_change();

create table model_version_tags (
    model_version_id uuid not null references model_versions (id),
    key              text not null,
    value            text not null,
    primary key (model_version_id, key)
);

create table aliases (
    model_id         uuid not null references models (id),
    alias            text not null,
    model_version_id uuid not null references model_versions (id),
    primary key (model_id, alias)
);
create index aliases_version on aliases (model_version_id);

create table alias_moves (
    id               bigint generated always as identity primary key,
    model_id         uuid not null references models (id),
    alias            text not null,
    -- null: the alias was removed.
    model_version_id uuid references model_versions (id),
    at               timestamptz not null default now(),
    by_name          text not null
);
create index alias_moves_model on alias_moves (model_id, alias, id desc);
create index alias_moves_version on alias_moves (model_version_id);
create trigger alias_moves_append_only before update or delete on alias_moves
    for each statement execute function refuse_change();
