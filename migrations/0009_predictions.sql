-- What was answered of a deployment, newest first: checks look at nothing else, however many requests were refused.
create index predictions_answered on predictions (deployment_id, at desc) where status = 200;
