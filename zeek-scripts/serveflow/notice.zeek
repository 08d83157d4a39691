##! An example of acting on a label: a notice for some of them. It is not loaded
##! by itself:
##!
##!     @load serveflow/notice
##!     redef ServeFlow::notice_labels += { "camera" };

@load base/frameworks/notice
@load ./main

module ServeFlow;

export {
	redef enum Notice::Type += {
		## A connection has a label of ServeFlow::notice_labels.
		Label_Seen
	};

	## The labels that a notice is raised for.
	option notice_labels: set[string] = {};

	## The least score that such a label needs.
	option notice_min_score: double = 0.9;
}

hook ServeFlow::labelled(c: connection, info: Info)
	{
	if ( info$label !in notice_labels || info$score < notice_min_score )
		return;

	NOTICE(Notice::Info($note=Label_Seen, $conn=c, $msg=fmt("%s looks like %s (score %.3f, %s)", c$id$orig_h,
	                                                       info$label, info$score, info$reason),
	                    $sub=info$model, $identifier=cat(c$id$orig_h, info$label)));
	}
