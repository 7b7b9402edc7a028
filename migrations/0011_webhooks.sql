-- Webhooks, and what is sent to them: an outbox that is written with the change that it tells of.

create table webhooks (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    name         text collate "C" not null,
    description  text not null default '',
    url          text not null,
    events       text[] not null check (cardinality(events) > 0),
    status       text not null check (status in ('ACTIVE', 'DISABLED')),
    -- As it was given: deliveries are signed with it. Never read but for that, and gone when the webhook is deleted.
    secret       text not null default '',
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    deleted_at   timestamptz
);
create index webhooks_workspace on webhooks (workspace_id, id desc) where deleted_at is null;

create table webhook_deliveries (
    id              uuid primary key,
    webhook_id      uuid not null references webhooks (id),
    event           text not null,
    -- What is posted, byte for byte: the same in every try.
    body            text not null,
    state           text not null default 'waiting'
        check (state in ('waiting', 'sending', 'delivered', 'failed', 'dropped')),
    attempts        integer not null default 0,
    -- When a worker may take it: the end of the pause while it waits, the end of the lease while it is sent.
    next_at         timestamptz not null default now(),
    -- Greater than all before it, for each try: what a worker says counts under the last one alone.
    fence           bigint,
    created_at      timestamptz not null default now(),
    ended_at        timestamptz,
    response_status integer,
    error           text not null default ''
);
create index webhook_deliveries_webhook on webhook_deliveries (webhook_id, id desc);
create index webhook_deliveries_open on webhook_deliveries (webhook_id, next_at) where state in ('waiting', 'sending');
create index webhook_deliveries_sending on webhook_deliveries (webhook_id) where state = 'sending';
