##! An example of acting on a label: a notice for some of them, and another where
##! Zeek's own detection of protocols says something else. It is not loaded by itself:
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
		## A connection has such a label, and a service that does not go together
		## with it: an openvpn that speaks like TLS, say.
		Label_Disputed
	};

	## The labels that a notice is raised for.
	option notice_labels: set[string] = {};

	## The least score that such a label needs.
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
