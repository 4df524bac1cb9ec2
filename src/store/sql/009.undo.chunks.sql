drop function evt.settle_lane;
drop function evt.settle_lanes;
drop function evt.enter_inbox(text, text, date, text);
drop function evt.enter_inbox(text, text[], date[], text);
