-- What people are written by e-mail: an outbox that is written with what it tells of. And who is mentioned where.

-- The kinds of messages that somebody does not want.
alter table users
    add column mail_off text[] not null default '{}' check (mail_off <@ array['waiting', 'requested', 'mentioned']);

-- Whether some worker sends messages, and when one last said so. Where none does, none are written.
create table mail_sending (
    is_one  boolean primary key default true check (is_one),
    seen_at timestamptz not null
);

create table mails (
    id           uuid primary key,
    workspace_id uuid not null references workspaces (id),
    promotion_id uuid not null references promotions (id),
    user_id      uuid not null references users (id),
    kind         text not null check (kind in ('waiting', 'requested', 'mentioned')),
    -- What it tells of: nobody is told twice.
    moment       text not null,
    subject      text not null,
    body         text not null,
    -- Where on the promotion's page: nothing, or a fragment.
    fragment     text not null default '',
    state        text not null default 'waiting'
        check (state in ('waiting', 'sending', 'delivered', 'failed', 'dropped')),
    attempts     integer not null default 0,
    -- When a worker may take it: the end of the pause while it waits, the end of the lease while it is sent.
    next_at      timestamptz not null default now(),
    -- Greater than all before it, for each try: what a worker says counts under the last one alone.
    fence        bigint,
    created_at   timestamptz not null default now(),
    ended_at     timestamptz,
    error        text not null default '',
    unique (promotion_id, user_id, moment)
);
create index mails_workspace on mails (workspace_id, id desc);
create index mails_user on mails (user_id);
create index mails_open on mails (next_at) where state in ('waiting', 'sending');

-- Whether somebody is written of a promotion: a person who is a member, sees its environment, wants such messages, and has
-- an address that exists. Asked when a message is written and once more when it is sent.
create function gets_mail(the_user uuid, the_promotion uuid, the_kind text) returns boolean
    language sql stable parallel safe
    return exists (
        select
        from promotions p
        join environments e on e.id = p.environment_id
        join members m on m.workspace_id = p.workspace_id and m.user_id = the_user
        join users u on u.id = m.user_id
        where p.id = the_promotion
          and may_see_environment(e.visible_to, m.roles)
          and not u.is_service
          and u.email not like '%.invalid'
          and not the_kind = any (u.mail_off)
    );

-- Who is mentioned in a comment on a promotion. Gone with the comment.
create table mentions (
    comment_id   uuid not null references comments (id),
    user_id      uuid not null references users (id),
    promotion_id uuid not null references promotions (id),
    -- When the comment, as it reads now, was written.
    mentioned_at timestamptz not null,
    primary key (comment_id, user_id)
);
create index mentions_user on mentions (user_id, promotion_id);
create index mentions_promotion on mentions (promotion_id);

-- What a webhook is posted: MLflow's body, or the one sentence that a chat shows.
alter table webhooks add column format text not null default 'mlflow' check (format in ('mlflow', 'chat'));
