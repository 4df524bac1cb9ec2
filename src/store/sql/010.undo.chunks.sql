drop function evt.settle_lanes;
drop function evt.enter_inbox;
