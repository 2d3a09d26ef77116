package org.twinpath

import kotlin.coroutines.coroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock

/**
 * The direction that is read of whatever the library knows by a [number]: what waits takes nothing, so that it can be cancelled at
 * any moment. What is told only in the other way, [tryRead] and [hasEnded] tell.
 */
internal class Reading(
    private val number: Long,
    private val tryRead: (UInt) -> ByteArray,
    private val hasEnded: () -> Boolean,
) {
    private val one = Mutex()

    /** Has nobody else read meanwhile. */
    suspend fun <R> alone(call: suspend () -> R): R = one.withLock { call() }

    /** What has come, at most [max] bytes, as soon as there is any; `null` at the end. */
    suspend fun next(max: Int): ByteArray? {
        require(max > 0) { "a read is of one byte at least" }
        return one.withLock { take(max, LentMemory::fetched) { it } }
    }

    /** Puts what has come where it is wanted as soon as there is any, and tells how much; -1 at the end. */
    suspend fun next(into: ByteArray, offset: Int, length: Int): Int {
        checkRange(into, offset, length)
        if (length == 0) return 0
        return one.withLock {
            take(
                length,
                { count -> count.also { fetched(it, into, offset) } },
                { bytes -> bytes.size.also { bytes.copyInto(into, offset) } },
            ) ?: -1
        }
    }

    /** What [next] gives where nothing has to be waited for; `null` where something has to, or goes wrong. */
    fun now(into: ByteArray, offset: Int, length: Int): Int? {
        if (!one.tryLock()) return null
        try {
            val memory = LentMemory.get()
            val count = memory.fetch(number, length)
            if (count > 0) memory.fetched(count, into, offset)
            return when (count) {
                LentCalls.ELSEWHERE, LentCalls.NOTHING_YET -> null
                0 -> -1
                else -> count
            }
        } finally {
            one.unlock()
        }
    }

    private suspend inline fun <R : Any> take(max: Int, lent: LentMemory.(Int) -> R, other: (ByteArray) -> R): R? {
        while (true) {
            // Whoever is gone takes nothing.
            coroutineContext.ensureActive()
            val memory = LentMemory.get()
            val count = memory.fetch(number, max)
            if (count > 0) return memory.lent(count)
            if (count == 0) return null
            if (count == LentCalls.ELSEWHERE) {
                val bytes = translated { tryRead(max.toUInt()) }
                if (bytes.isNotEmpty()) return other(bytes)
                if (translated { hasEnded() }) return null
            }
            Waiting.untilReadable(number)
        }
    }
}

/** Throws where a part of an array is not inside of it. */
internal fun checkRange(bytes: ByteArray, offset: Int, length: Int) {
    if (offset < 0 || length < 0 || length > bytes.size - offset) {
        throw IndexOutOfBoundsException("$length bytes from $offset of ${bytes.size}")
    }
}
