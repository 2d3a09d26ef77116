package org.twinpath.okhttp

/**
 * What was fetched before it was asked for: OkHttp asks for 8 KiB and TLS for five bytes, and a call of the library costs more
 * than to copy those. For one reader at a time.
 */
internal class ReadAhead(private val fetch: (ByteArray) -> Int) {
    private var bytes = ByteArray(0)
    private var next = 0
    private var end = 0

    /** How many bytes are here. */
    val available: Int get() = end - next

    /** Gives at most [length] bytes, and tells how many; what fetching tells if there are none. */
    inline fun read(length: Int, give: (ByteArray, Int, Int) -> Unit): Int {
        val count = if (available > 0) available else refill()
        if (count <= 0) return count
        val part = minOf(length, count)
        give(bytes, next, part)
        next += part
        return part
    }

    /** Has what [now] gives without waiting, if nothing is here; it gives `null` where there is nothing to be had. */
    fun look(now: (ByteArray) -> Int?) {
        if (available == 0) refill { now(it) ?: 0 }
    }

    private fun refill(fetch: (ByteArray) -> Int = this.fetch): Int {
        if (bytes.isEmpty()) bytes = ByteArray(SIZE)
        val count = fetch(bytes)
        next = 0
        end = maxOf(count, 0)
        return count
    }

    companion object {
        /** Whoever asks for as much gains nothing by it. */
        const val SIZE = 32 * 1024
    }
}
