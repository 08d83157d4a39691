// Bytes that grow at their end. Room at the end is written to as it is: a string would
// fill it with zeros first, which costs as much as a message.

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

    // Room is where the next bytes go; there is room for as many as are asked for.
    char* Room(size_t n) {
        if ( capacity - size < n )
            Grow(n);
        return bytes.get() + size;
    }

    // Take takes what was written, up to its end.
    void Take(const char* end) { size = static_cast<size_t>(end - bytes.get()); }

    void Add(const Buffer& other) {
        if ( other.size == 0 )
            return;
        std::memcpy(Room(other.size), other.Data(), other.size);
        size += other.size;
    }

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
