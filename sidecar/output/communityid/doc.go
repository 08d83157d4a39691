// Package communityid computes the Community ID of a flow, version 1 with seed 0,
// which joins logs of different tools. The specification is
// https://github.com/corelight/community-id-spec.
package communityid
