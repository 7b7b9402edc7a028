-- What a policy lets nobody do alone, besides promoting: asked for, agreed to, done in the transaction of the last yes.
create table change_requests (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    number       bigint not null,
    change       jsonb not null,
    digest       text not null,
    state        text not null check (state in
        ('awaiting_approval', 'applied', 'rejected', 'expired', 'withdrawn', 'invalidated')),
    state_reason text not null default '',
    requested_by uuid references users (id),
    requester    text not null,
    comment      text not null,
    expires_at   timestamptz not null,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    unique (workspace_id, number)
);
create index change_requests_requested_by on change_requests (requested_by);
create index change_requests_open on change_requests (expires_at) where state = 'awaiting_approval';
-- The same is asked for once at a time.
create unique index change_requests_same on change_requests (workspace_id, digest) where state = 'awaiting_approval';

-- A decision is on a promotion or on a change request.
alter table decisions alter column promotion_id drop not null;
alter table decisions add column change_request_id uuid references change_requests (id);
alter table decisions add check (num_nonnulls(promotion_id, change_request_id) = 1);
alter table decisions add unique (change_request_id, user_id, subject_digest, verdict);
