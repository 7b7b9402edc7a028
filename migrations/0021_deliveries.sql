-- What receivers answered, and which deliveries repeat another because somebody asked for that.

alter table webhook_deliveries
    add column response_excerpt text not null default '',
    -- No reference: the first one may be deleted before, as it is older.
    add column redelivery_of    uuid;
