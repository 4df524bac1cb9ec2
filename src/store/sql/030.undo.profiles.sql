drop table evt.profile_answers, evt.profile_requests;
