#include "Pack.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

namespace serveflow {

namespace {

// The packet begins with the flow's own IP header (LINKTYPE_RAW).
constexpr uint8_t link_ip = 101;
constexpr size_t max_text = 256;

// Writer writes values one after the other into a buffer that is large enough.
class Writer {
public:
    explicit Writer(char* at) : at(at) {}

    char* At() const { return at; }

    void Byte(uint8_t b) { *at++ = static_cast<char>(b); }

    [[gnu::always_inline]] void Uint(uint64_t n) {
        if ( n < 0x80 )
            Byte(static_cast<uint8_t>(n));
        else if ( n > 0xffffffff ) // as times and flow ids are
            Number<8>(0xcf, n);
        else if ( n > 0xffff )
            Number<4>(0xce, n);
        else if ( n > 0xff )
            Number<2>(0xcd, n);
        else
            Number<1>(0xcc, n);
    }

    void Text(std::string_view s) {
        s = s.substr(0, max_text);
        if ( s.size() < 32 )
            Byte(0xa0 | static_cast<uint8_t>(s.size()));
        else if ( s.size() <= 0xff )
            Number<1>(0xd9, s.size());
        else
            Number<2>(0xda, s.size());
        Raw(s);
    }

    void Flow(const FlowName& flow) {
        if ( flow.text.empty() )
            Uint(flow.number);
        else
            Text(flow.text.substr(0, max_flow));
    }

    void Bytes(std::string_view s) {
        if ( s.size() <= 0xff )
            Number<1>(0xc4, s.size());
        else
            Number<2>(0xc5, s.size());
        Raw(s);
    }

    void Bool(bool b) { Byte(b ? 0xc3 : 0xc2); }

private:
    template <int N>
    void Number(uint8_t format, uint64_t n) {
        Byte(format);
        n = __builtin_bswap64(n) >> 8 * (8 - N);
        std::memcpy(at, &n, N);
        at += N;
    }

    void Raw(std::string_view s) {
        const char* from = s.data();
        size_t n = s.size();
        char* to = std::exchange(at, at + n);
        if ( n < 16 || n > 64 ) {
            std::memcpy(to, from, n);
            return;
        }
        // Most are the headers of a packet: moves of 16 bytes that overlap.
        std::memcpy(to, from, 16);
        if ( n > 32 ) {
            std::memcpy(to + 16, from + 16, 16);
            std::memcpy(to + n - 32, from + n - 32, 16);
        }
        std::memcpy(to + n - 16, from + n - 16, 16);
    }

    char* at;
};

// Append appends what write writes, at most so many bytes.
template <typename F>
void Append(Buffer& out, size_t most, F write) {
    Writer w(out.Room(most));
    write(w);
    out.Take(w.At());
}

} // namespace

std::string RunName() {
    static const char digits[] = "0123456789abcdef";
    std::random_device random;
    std::string name;
    while ( name.size() < 32 )
        for ( auto bits = random(), i = 0U; i < 8; i++, bits >>= 4 )
            name += digits[bits & 15];
    return name;
}

void PackHello(Buffer& out, const Hello& h) {
    Append(out, 256 + 4 * max_text, [&](Writer& w) {
        w.Byte(0x93);
        w.Uint(0);
        w.Uint(1);
        w.Byte(h.run.empty() ? 0x87 : 0x88);
        if ( ! h.run.empty() ) {
            w.Text("run");
            w.Text(h.run);
        }
        w.Text("engine");
        w.Text(h.engine);
        w.Text("engine_version");
        w.Text(h.engine_version);
        w.Text("sensor");
        w.Text(h.sensor);
        w.Text("pid");
        w.Uint(static_cast<uint64_t>(h.pid));
        w.Text("mode");
        w.Text(h.capture ? "capture" : "live");
        w.Text("events");
        w.Text("packet");
        w.Text("reply");
        w.Bool(h.reply);
    });
}

void PackPacket(Buffer& out, const PacketInfo& p) {
    auto raw = p.raw.substr(0, max_raw);
    Append(out, 96 + raw.size(), [&](Writer& w) {
        w.Byte(0x99);
        w.Uint(1);
        w.Flow(p.flow);
        w.Uint(static_cast<uint64_t>(p.ts_us));
        w.Uint(p.dir);
        w.Uint(p.orig_pkts);
        w.Uint(p.resp_pkts);
        w.Uint(p.wire_len);
        w.Uint(link_ip);
        w.Bytes(raw);
    });
}

void PackEnd(Buffer& out, const FlowName& flow, int64_t ts_us) {
    Append(out, 64, [&](Writer& w) {
        w.Byte(0x93);
        w.Uint(3);
        w.Flow(flow);
        w.Uint(static_cast<uint64_t>(ts_us));
    });
}

void PackSync(Buffer& out, uint64_t token, bool final) {
    Append(out, 16, [&](Writer& w) {
        w.Byte(0x93);
        w.Uint(4);
        w.Uint(token);
        w.Bool(final);
    });
}

void PackStats(Buffer& out, int64_t ts_us, uint64_t sent, uint64_t dropped) {
    Append(out, 32, [&](Writer& w) {
        w.Byte(0x94);
        w.Uint(5);
        w.Uint(static_cast<uint64_t>(ts_us));
        w.Uint(sent);
        w.Uint(dropped);
    });
}

} // namespace serveflow
