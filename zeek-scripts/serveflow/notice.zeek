##! An example of acting on labels: a notice for some of them, and another where Zeek's
##! protocol detection contradicts the label. It has to be loaded explicitly:
##!
##!     @load serveflow/notice
##!     redef ServeFlow::notice_labels += { "openvpn", "tls-relay" };

@load base/frameworks/notice
@load ./main

module ServeFlow;

export {
	redef enum Notice::Type += {
		## A connection has a label of ServeFlow::notice_labels.
		Label_Seen,
		## A connection has such a label, and a service that does not fit it: openvpn
		## that Zeek detects as TLS, for example.
		Label_Disputed
	};

	## The labels that raise a notice.
	option notice_labels: set[string] = {};

	## The minimum score of such a label.
	option notice_min_score: double = 0.9;
}

function noticeable(info: Info): bool
	{
	return info$label in notice_labels && info$score >= notice_min_score;
	}

function dispute(c: connection, info: Info)
	{
	if ( ! noticeable(info) || ! info?$agrees || info$agrees )
		return;

	NOTICE(Notice::Info($note=Label_Disputed, $conn=c, $msg=fmt("%s looks like %s (score %.3f, %s) and speaks %s", c$id$orig_h,
	                                                           info$label, info$score, info$reason,
	                                                           to_lower(join_string_set(c$service, ","))),
	                    $sub=info$model, $identifier=cat(c$uid, info$label)));
	}

hook ServeFlow::labelled(c: connection, info: Info)
	{
	if ( ! noticeable(info) )
		return;

	NOTICE(Notice::Info($note=Label_Seen, $conn=c, $msg=fmt("%s looks like %s (score %.3f, %s)", c$id$orig_h,
	                                                       info$label, info$score, info$reason),
	                    $sub=info$model, $identifier=cat(c$id$orig_h, info$label)));
	dispute(c, info);
	}

# The service may become known after the label.
event connection_state_remove(c: connection) &priority=1
	{
	if ( c?$serveflow )
		dispute(c, c$serveflow);
	}
