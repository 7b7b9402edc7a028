-- Policies of a workspace in place of one for each environment; promotions held against several; rules; overrides.

alter table policies rename to environment_policies;
alter table environment_policies rename constraint policies_pkey to environment_policies_pkey;
alter index if exists policies_environment_id_revision_key rename to environment_policies_environment_id_revision_key;

create table policies (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    name         text not null,
    revision     integer not null,
    document     jsonb not null,
    -- The file as it was written, when it came as YAML.
    source       text,
    -- It holds no more; a later revision can bring it back.
    retired      boolean not null default false,
    digest       text not null,
    created_at   timestamptz not null default now(),
    created_by   text not null,
    unique (workspace_id, name, revision)
);
-- Revisions that were written before keep the digest of what they were written as.
insert into policies (id, workspace_id, name, revision, document, digest, created_at, created_by)
select p.id, e.workspace_id, e.name, p.revision,
    p.document || jsonb_build_object('scope', jsonb_build_object('environments', jsonb_build_array(e.name))),
    p.digest, p.created_at, p.created_by
from environment_policies p
join environments e on e.id = p.environment_id;
create trigger policies_append_only before update or delete or truncate on policies
    for each statement execute function refuse_change();

create table promotion_policies (
    promotion_id uuid not null references promotions (id),
    policy_id    uuid not null references policies (id),
    primary key (promotion_id, policy_id)
);
create index promotion_policies_policy on promotion_policies (policy_id);
insert into promotion_policies (promotion_id, policy_id) select id, policy_id from promotions;
alter table promotions drop column policy_id;
drop table environment_policies;

alter table promotions drop constraint promotions_state_check;
update promotions set state = 'aborted' where state = 'failed';
-- What was agreed on under the former subject is asked again under the new one.
update deployments d
set state = 'failed', state_reason = 'Slipway was upgraded meanwhile.'
from promotions p
where d.promotion_id = p.id and d.state = 'deploying';
update promotions
set state = 'gates_running', subject = null, subject_digest = null, state_reason = 'Asked again: Slipway was upgraded.'
where state in ('awaiting_approval', 'approved', 'deploying', 'blocked');
alter table promotions add constraint promotions_state_check check (state in (
    'draft', 'gates_running', 'blocked', 'awaiting_approval', 'approved', 'scheduled', 'deploying', 'verifying', 'live',
    'rejected', 'expired', 'withdrawn', 'invalidated', 'superseded', 'aborted', 'rolled_back'));
alter table promotions
    add column expires_at  timestamptz,
    -- Whether it was said that it expires soon.
    add column warned_at   timestamptz,
    add column approved_at timestamptz,
    -- The number of the promotion that this one asks again for.
    add column again       bigint;
update promotions set expires_at = created_at + interval '30 days';
update promotions set expires_at = now() + interval '30 days' where state = 'gates_running';
alter table promotions alter column expires_at set not null;

drop index promotions_open;
create unique index promotions_open on promotions (model_version_id, environment_id)
    where state in ('draft', 'gates_running', 'blocked', 'awaiting_approval', 'approved', 'scheduled', 'deploying',
        'verifying');
drop index promotions_moving;
create index promotions_moving on promotions (state, id)
    where state in ('gates_running', 'blocked', 'awaiting_approval', 'approved', 'scheduled', 'deploying', 'verifying');
create index promotions_expiring on promotions (expires_at)
    where state in ('draft', 'gates_running', 'blocked', 'awaiting_approval', 'approved', 'scheduled');
create index promotions_awaiting on promotions (workspace_id, number) where state = 'awaiting_approval';

alter table gates
    add column policy   text not null default '',
    add column advisory boolean not null default false;
-- What was asked outside, so that an answer is taken once and for exactly this asking.
alter table gates add column asked_at timestamptz;

alter table decisions drop constraint decisions_verdict_check;
alter table decisions add constraint decisions_verdict_check check (verdict in ('approve', 'reject', 'request_changes'));
alter table decisions
    add column rules           text[] not null default '{}',
    add column acting_for      uuid references users (id),
    add column inputs          jsonb not null default '{}',
    add column checked         jsonb not null default '{}',
    add column reauthenticated boolean not null default false;
alter table decisions drop constraint decisions_promotion_id_user_id_subject_digest_key;
-- One person says each of yes, no and not like this at most once to one subject; the last one counts.
alter table decisions add unique (promotion_id, user_id, subject_digest, verdict);
create index decisions_acting_for on decisions (acting_for);

-- Break-glass.
create table overrides (
    id             uuid primary key,
    workspace_id   uuid not null references workspaces (id),
    promotion_id   uuid not null references promotions (id),
    kind           text not null check (kind in ('gates', 'freeze')),
    reason         text not null,
    subject_digest text not null,
    opened_by      uuid not null references users (id),
    opener         text not null,
    opened_at      timestamptz not null default now(),
    confirmed_by   uuid references users (id),
    confirmer      text,
    confirmed_at   timestamptz,
    review_due_at  timestamptz,
    -- When somebody was last reminded of the review.
    reminded_at    timestamptz,
    reviewed_by    uuid references users (id),
    reviewer       text,
    review         text,
    reviewed_at    timestamptz,
    check (confirmed_by is null or confirmed_by <> opened_by),
    check ((confirmed_at is null) = (confirmed_by is null)),
    check ((reviewed_at is null) = (reviewed_by is null))
);
create unique index overrides_one on overrides (promotion_id, kind, subject_digest);
create index overrides_unreviewed on overrides (workspace_id, review_due_at)
    where confirmed_at is not null and reviewed_at is null;
create index overrides_opener on overrides (opened_by);
create index overrides_confirmer on overrides (confirmed_by);
create index overrides_reviewer on overrides (reviewed_by);

-- What people and machines say of a version besides what its run logged: reports, checks, answers from outside.
create table evidence (
    id             uuid primary key,
    promotion_id   uuid not null references promotions (id),
    name           text not null,
    content        jsonb not null,
    digest         text not null,
    uploaded_by    uuid references users (id),
    uploader       text not null,
    at             timestamptz not null default now()
);
create index evidence_promotion on evidence (promotion_id, name, id desc);
create index evidence_uploader on evidence (uploaded_by);
create trigger evidence_append_only before update or delete or truncate on evidence
    for each statement execute function refuse_change();

alter table comments drop constraint comments_object_kind_check;
alter table comments add constraint comments_object_kind_check
    check (object_kind in ('run', 'model_version', 'promotion'));
