package main

// rtsp is cameras and other streams: the connection by which they are asked for,
// with the pictures and sounds in it unless they come as datagrams; those are RTP,
// as in calls.
var rtsp = label{name: "rtsp", programs: []program{
	{"ffmpeg-inside", "", camera("tcp port $PORT").with(sh(ffmpegPlays("tcp")))},
	{"ffmpeg-datagrams", "", camera("tcp port $PORT").with(sh(ffmpegPlays("udp")))},
	{"ffprobe", calibration, camera("tcp port $PORT").with(sh(
		"ffprobe -v error -rtsp_transport tcp -show_streams rtsp://$AT:$PORT/live", "ffprobe -v error -rtsp_transport udp -show_streams rtsp://$AT:$PORT/live", "ffprobe -v error rtsp://$AT:$PORT/none"))},
	{"gstreamer", test, camera("tcp port $PORT").with(sh(gstPlays("tcp"), gstPlays("udp")))},
}}

// camera is a server of GStreamer, with one of some ways to code pictures and sounds.
func camera(filter string) service {
	return service{over: "tcp", filter: filter, low: 1, top: 2, files: map[string]string{"camera.py": `import random, sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer, GLib
Gst.init(None)
random.seed(int(sys.argv[2]))
size = random.choice(["width=320,height=240", "width=640,height=360", "width=176,height=144"])
pictures = random.choice(["jpegenc ! rtpjpegpay", "openh264enc bitrate=200000 gop-size=15 ! rtph264pay config-interval=1", "vp8enc deadline=1 target-bitrate=200000 ! rtpvp8pay"])
sounds = random.choice(["", "mulawenc ! rtppcmupay", "alawenc ! rtppcmapay", "audioconvert ! audioresample ! opusenc ! rtpopuspay"])
launch = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,%s,framerate=%d/1 ! %s name=pay0 pt=96" % (size, random.choice([10, 15, 25]), pictures)
if sounds:
    launch += " audiotestsrc is-live=true wave=pink-noise ! audio/x-raw,rate=8000,channels=1 ! %s name=pay1 pt=97" % sounds
server = GstRtspServer.RTSPServer()
server.set_address("0.0.0.0")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( " + launch + " )")
factory.set_shared(True)
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
GLib.MainLoop().run()
`}, run: []string{"exec /usr/bin/python3 camera.py $PORT $RANDOM"}}
}

func ffmpegPlays(transport string) string {
	return "ffmpeg -v error -rtsp_transport " + transport + " -i rtsp://$AT:$PORT/live -t $((RANDOM % 5 + 1)) -f null - </dev/null"
}

func gstPlays(transport string) string {
	return "timeout -s INT $((RANDOM % 4 + 3)) gst-launch-1.0 -q -e rtspsrc location=rtsp://$AT:$PORT/live protocols=" + transport + " ! fakesink"
}
