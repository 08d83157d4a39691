#include "Unpack.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace serveflow {

namespace {

// Bounds on the elements of a message, the depth and number of skipped values, and the
// length of a text.
constexpr uint64_t max_elements = 64;
constexpr int max_depth = 8;
constexpr uint64_t max_text = 256;
constexpr uint64_t max_skipped = 65536;

// Reader reads values one after the other. At the first that cannot be read it sets
// outcome, and all further reads fail, too.
class Reader {
public:
    explicit Reader(std::string_view in) : in(in) {}

    Outcome outcome = Outcome::Whole;

    size_t Read() const { return at; }

    bool Array(uint64_t& n) { return Head(0x90, 0x0f, 0xdc, n) || Fail(); }

    bool Map(uint64_t& n) { return Head(0x80, 0x0f, 0xde, n) || Fail(); }

    bool Text(std::string_view& s) {
        uint64_t n = 0;
        uint8_t first = 0;
        if ( ! Peek(first) )
            return false;
        if ( first >= 0xa0 && first <= 0xbf ) {
            at++;
            n = first & 0x1f;
        }
        else if ( first >= 0xd9 && first <= 0xdb ) {
            at++;
            if ( ! Big(size_t{1} << (first - 0xd9), n) )
                return false;
        }
        else
            return Bad();
        return n <= max_text ? Take(n, s) : Bad();
    }

    // Flow reads a flow id, a text or a number.
    bool Flow(std::string_view& text, uint64_t& number) {
        uint8_t first = 0;
        if ( ! Peek(first) )
            return false;
        text = {};
        number = 0;
        bool numeric = first < 0x80 || (first >= 0xcc && first <= 0xd3);
        return numeric ? Uint(number) : Text(text) && (! text.empty() || Bad());
    }

    bool Uint(uint64_t& n) {
        int64_t i = 0;
        double d = 0;
        switch ( Number(n, i, d) ) {
            case Positive: return true;
            case Failed: return false;
            default: return Bad();
        }
    }

    bool Int(int64_t& n) {
        uint64_t u = 0;
        double d = 0;
        switch ( Number(u, n, d) ) {
            case Positive: n = static_cast<int64_t>(u); return u <= INT64_MAX || Bad();
            case Negative: return true;
            case Failed: return false;
            default: return Bad();
        }
    }

    bool Float(double& d) {
        uint64_t u = 0;
        int64_t i = 0;
        switch ( Number(u, i, d) ) {
            case Positive: d = static_cast<double>(u); return true;
            case Negative: d = static_cast<double>(i); return true;
            case Failed: return false;
            default: return std::isfinite(d) || Bad();
        }
    }

    bool Bool(bool& b) {
        uint8_t first = 0;
        if ( ! Peek(first) )
            return false;
        if ( first != 0xc2 && first != 0xc3 )
            return Bad();
        at++;
        b = first == 0xc3;
        return true;
    }

    // Skip skips one value of any type.
    bool Skip(int depth = 0) {
        uint8_t first = 0;
        if ( ! Peek(first) )
            return false;
        if ( depth > max_depth )
            return Bad();
        uint64_t n = 0;
        if ( Head(0x90, 0x0f, 0xdc, n) )
            return Values(n, depth);
        if ( Head(0x80, 0x0f, 0xde, n) )
            return Values(2 * n, depth);
        if ( outcome != Outcome::Whole )
            return false;
        at++;
        std::string_view ignored;
        if ( first < 0x80 || first >= 0xe0 || first == 0xc0 || first == 0xc2 || first == 0xc3 )
            return true;
        if ( first <= 0xbf )
            return Take(first & 0x1f, ignored);
        switch ( first ) {
            case 0xc4:
            case 0xd9: return Big(1, n) && Take(n, ignored);
            case 0xc5:
            case 0xda: return Big(2, n) && Take(n, ignored);
            case 0xc6:
            case 0xdb: return Big(4, n) && Take(n, ignored);
            case 0xc7: return Big(1, n) && Take(n + 1, ignored);
            case 0xc8: return Big(2, n) && Take(n + 1, ignored);
            case 0xc9: return Big(4, n) && Take(n + 1, ignored);
            case 0xca: return Take(4, ignored);
            case 0xcb: return Take(8, ignored);
            case 0xcc:
            case 0xcd:
            case 0xce:
            case 0xcf: return Take(size_t{1} << (first - 0xcc), ignored);
            case 0xd0:
            case 0xd1:
            case 0xd2:
            case 0xd3: return Take(size_t{1} << (first - 0xd0), ignored);
            case 0xd4:
            case 0xd5:
            case 0xd6:
            case 0xd7:
            case 0xd8: return Take((size_t{1} << (first - 0xd4)) + 1, ignored);
            default: return Bad();
        }
    }

private:
    enum Sign : uint8_t { Failed, Positive, Negative, Floating, None };

    bool Bad() {
        outcome = Outcome::Bad;
        return false;
    }

    // Fail sets the outcome of a value of the wrong type: Bad, or Cut at the end of input.
    bool Fail() { return outcome == Outcome::Whole ? Bad() : false; }

    bool Peek(uint8_t& b) {
        if ( outcome != Outcome::Whole )
            return false;
        if ( at >= in.size() ) {
            outcome = Outcome::Cut;
            return false;
        }
        b = static_cast<uint8_t>(in[at]);
        return true;
    }

    bool Take(uint64_t n, std::string_view& s) {
        if ( n > max_skipped )
            return Bad();
        if ( in.size() - at < n ) {
            outcome = Outcome::Cut;
            return false;
        }
        s = in.substr(at, n);
        at += n;
        return true;
    }

    // Big reads a big-endian number of the given bytes.
    bool Big(size_t bytes, uint64_t& n) {
        auto here = in.size() - at;
        if ( here < bytes ) {
            outcome = Outcome::Cut;
            return false;
        }
        n = 0;
        static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
        if ( here >= sizeof n ) { // all at once
            std::memcpy(&n, in.data() + at, sizeof n);
            n = __builtin_bswap64(n) >> 8 * (sizeof n - bytes);
        }
        else
            for ( char c : in.substr(at, bytes) )
                n = n << 8 | static_cast<uint8_t>(c);
        at += bytes;
        return true;
    }

    // Head reads the header of an array or map: a byte that holds the number, or one of
    // two longer formats. It does not consume anything else.
    bool Head(uint8_t fixed, uint8_t mask, uint8_t longer, uint64_t& n) {
        uint8_t first = 0;
        if ( ! Peek(first) )
            return false;
        if ( (first & ~mask) == fixed ) {
            at++;
            n = first & mask;
            return true;
        }
        if ( first != longer && first != longer + 1 )
            return false;
        at++;
        return Big(first == longer ? 2 : 4, n) && (n <= max_elements || Bad());
    }

    bool Values(uint64_t n, int depth) {
        while ( n-- > 0 )
            if ( ! Skip(depth + 1) )
                return false;
        return true;
    }

    Sign Number(uint64_t& u, int64_t& i, double& d) {
        uint8_t first = 0;
        if ( ! Peek(first) )
            return Failed;
        at++;
        if ( first < 0x80 ) {
            u = first;
            return Positive;
        }
        if ( first >= 0xe0 ) {
            i = static_cast<int8_t>(first);
            return Negative;
        }
        if ( first == 0xca || first == 0xcb ) {
            uint64_t bits = 0;
            if ( ! Big(first == 0xca ? 4 : 8, bits) )
                return Failed;
            if ( first == 0xca ) {
                auto low = static_cast<uint32_t>(bits);
                float f = 0;
                std::memcpy(&f, &low, sizeof f);
                d = f;
            }
            else
                std::memcpy(&d, &bits, sizeof d);
            return Floating;
        }
        if ( first >= 0xcc && first <= 0xcf )
            return Big(size_t{1} << (first - 0xcc), u) ? Positive : Failed;
        if ( first >= 0xd0 && first <= 0xd3 ) {
            size_t bytes = size_t{1} << (first - 0xd0);
            if ( ! Big(bytes, u) )
                return Failed;
            auto up = 64 - 8 * bytes;
            i = static_cast<int64_t>(u << up) >> up;
            u = static_cast<uint64_t>(i);
            return i >= 0 ? Positive : Negative;
        }
        Bad();
        return Failed;
    }

    std::string_view in;
    size_t at = 0;
};

bool UnpackNeed(Reader& r, Need& need) {
    need = {0, 0, 0, false}; // a missing key means 0
    uint64_t keys = 0;
    if ( ! r.Map(keys) )
        return false;
    while ( keys-- > 0 ) {
        std::string_view key;
        if ( ! r.Text(key) )
            return false;
        if ( key == "after_label" ) {
            if ( ! r.Bool(need.after_label) )
                return false;
            continue;
        }
        uint64_t* value = key == "packets"         ? &need.packets
                          : key == "raw_bytes"     ? &need.raw_bytes
                          : key == "payload_bytes" ? &need.payload_bytes
                                                   : nullptr;
        if ( ! (value ? r.Uint(*value) : r.Skip()) )
            return false;
    }
    return true;
}

// The kind of a message type, and its number of fields.
struct Type {
    uint64_t number;
    Message::Kind kind;
    uint64_t fields;
};

constexpr Type types[] = {
    {16, Message::LabelKind, 8},
    {17, Message::WelcomeKind, 2},
    {18, Message::SyncedKind, 1},
    {19, Message::ErrorKind, 2},
};

// UnpackFields reads the fields of a message, and so many of the optional fields of a
// label.
bool UnpackFields(Reader& r, Message& m, uint64_t more) {
    auto& l = m.label;
    uint64_t version = 0;
    switch ( m.kind ) {
        case Message::LabelKind:
            return r.Flow(l.flow, l.number) && r.Text(l.label) && r.Float(l.score) && r.Text(l.stage) &&
                   r.Uint(l.packets) && r.Int(l.latency_us) && r.Text(l.model) && r.Text(l.reason) &&
                   (more < 1 || r.Text(l.services)) && (more < 2 || r.Float(l.margin));
        case Message::WelcomeKind: return r.Uint(version) && UnpackNeed(r, m.need);
        case Message::SyncedKind: return r.Uint(m.token);
        case Message::ErrorKind: return r.Uint(m.code) && r.Text(m.text);
        default: return true;
    }
}

} // namespace

Outcome Unpack(std::string_view in, Message& message, size_t& size) {
    Reader r(in);
    uint64_t elements = 0;
    uint64_t number = 0;
    if ( ! r.Array(elements) )
        return r.outcome;
    if ( elements == 0 )
        return Outcome::Bad;
    if ( ! r.Uint(number) )
        return r.outcome;
    uint64_t read = 1;
    message.kind = Message::Other;
    for ( const auto& t : types )
        if ( t.number == number ) {
            message.kind = t.kind;
            read += t.fields;
        }
    if ( elements < read )
        return Outcome::Bad; // the rest is another message
    auto more = message.kind == Message::LabelKind ? std::min<uint64_t>(elements - read, 2) : 0;
    message.label.services = {};
    message.label.margin = 0;
    if ( ! UnpackFields(r, message, more) )
        return r.outcome;
    read += more;
    for ( ; read < elements; read++ )
        if ( ! r.Skip() )
            return r.outcome;
    size = r.Read();
    return Outcome::Whole;
}

} // namespace serveflow
