// A growing buffer of bytes. It does not initialise new space, as std::string does: that
// costs as much as a message.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

namespace serveflow {

class Buffer {
public:
    const char* Data() const { return bytes.get(); }
    size_t Size() const { return size; }
    bool Empty() const { return size == 0; }
    void Clear() { size = 0; }

    // Room returns space for n more bytes.
    char* Room(size_t n) {
        if ( capacity - size < n )
            Grow(n);
        return bytes.get() + size;
    }

    // Take extends the content to the end of what was written there.
    void Take(const char* end) { size = static_cast<size_t>(end - bytes.get()); }

    void Swap(Buffer& other) {
        std::swap(bytes, other.bytes);
        std::swap(size, other.size);
        std::swap(capacity, other.capacity);
    }

private:
    void Grow(size_t n) {
        size_t grown = std::max(size + n, 2 * capacity);
        std::unique_ptr<char[]> larger(new char[grown]);
        if ( size > 0 )
            std::memcpy(larger.get(), bytes.get(), size);
        bytes = std::move(larger);
        capacity = grown;
    }

    std::unique_ptr<char[]> bytes;
    size_t size = 0;
    size_t capacity = 0;
};

} // namespace serveflow
