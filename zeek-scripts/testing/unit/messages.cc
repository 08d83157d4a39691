// Packs and reads messages as it is told on standard input, for the Go tests in
// test/zeek, which know what the bytes have to be. Bytes are written in hex.
//
//     hello VERSION SENSOR PID CAPTURE [RUN]
//     run
//     packet FLOW TS DIR ORIG_PKTS RESP_PKTS WIRE_LEN RAW
//     end FLOW TS
//     sync TOKEN FINAL
//     stats TS SENT DROPPED
//     read BYTES

#include <iostream>
#include <sstream>
#include <string>

#include "Pack.h"
#include "Unpack.h"

using namespace serveflow;

namespace {

std::string Hex(std::string_view s) {
    static const char digits[] = "0123456789abcdef";
    std::string out;
    for ( unsigned char c : s ) {
        out += digits[c >> 4];
        out += digits[c & 15];
    }
    return out.empty() ? "-" : out;
}

std::string Unhex(const std::string& s) {
    std::string out;
    for ( size_t i = 0; s != "-" && i + 1 < s.size(); i += 2 )
        out += static_cast<char>(std::stoi(s.substr(i, 2), nullptr, 16));
    return out;
}

// All messages in the bytes, a line each, and how they end.
void Read(std::string_view in) {
    for ( ;; ) {
        Message m;
        size_t size = 0;
        auto outcome = Unpack(in, m, size);
        if ( outcome != Outcome::Whole ) {
            std::cout << (outcome == Outcome::Bad ? "bad" : in.empty() ? "end" : "cut") << "\n";
            return;
        }
        in.remove_prefix(size);
        const auto& l = m.label;
        switch ( m.kind ) {
            case Message::LabelKind:
                std::cout << "label " << l.flow << " " << Hex(l.label) << " " << l.score << " " << Hex(l.stage) << " "
                          << l.packets << " " << l.latency_us << " " << Hex(l.model) << " " << Hex(l.reason) << " "
                          << Hex(l.services) << " " << l.margin << ";";
                break;
            case Message::WelcomeKind:
                std::cout << "welcome " << m.need.packets << " " << m.need.raw_bytes << " " << m.need.payload_bytes
                          << (m.need.after_label ? " after_label;" : ";");
                break;
            case Message::SyncedKind: std::cout << "synced " << m.token << ";"; break;
            case Message::ErrorKind: std::cout << "error " << m.code << " " << Hex(m.text) << ";"; break;
            default: std::cout << "other;";
        }
    }
}

} // namespace

int main() {
    std::string line;
    while ( std::getline(std::cin, line) ) {
        std::istringstream in(line);
        std::string what;
        std::string flow;
        std::string raw;
        Buffer out;
        in >> what;
        if ( what == "hello" ) {
            Hello h;
            in >> h.engine_version >> h.sensor >> h.pid >> h.capture >> h.run;
            PackHello(out, h);
        }
        else if ( what == "run" ) {
            std::cout << Hex(RunName()) << "\n";
            continue;
        }
        else if ( what == "packet" ) {
            PacketInfo p;
            int dir = 0;
            in >> flow >> p.ts_us >> dir >> p.orig_pkts >> p.resp_pkts >> p.wire_len >> raw;
            raw = Unhex(raw);
            p.flow = flow;
            p.dir = static_cast<uint8_t>(dir);
            p.raw = raw;
            PackPacket(out, p);
        }
        else if ( what == "end" ) {
            int64_t ts = 0;
            in >> flow >> ts;
            PackEnd(out, flow, ts);
        }
        else if ( what == "sync" ) {
            uint64_t token = 0;
            bool final = false;
            in >> token >> final;
            PackSync(out, token, final);
        }
        else if ( what == "stats" ) {
            int64_t ts = 0;
            uint64_t sent = 0;
            uint64_t dropped = 0;
            in >> ts >> sent >> dropped;
            PackStats(out, ts, sent, dropped);
        }
        else {
            in >> raw;
            // Memory that ends with the bytes, so that a sanitizer sees one read too many.
            std::string bytes = Unhex(raw);
            auto* exact = new char[bytes.size()];
            bytes.copy(exact, bytes.size());
            Read({exact, bytes.size()});
            delete[] exact;
            continue;
        }
        std::cout << Hex({out.Data(), out.Size()}) << "\n";
    }
}
