package org.twinpath

import com.sun.jna.Native
import com.sun.jna.Pointer
import java.nio.ByteBuffer

/**
 * Memory outside of the heap, through which the bytes of one thread go to the library and come from it. A call that has numbers
 * alone takes JNA a fraction of what one takes that has structures, as all have that are generated.
 */
internal class LentMemory private constructor() {
    private val buffer: ByteBuffer = ByteBuffer.allocateDirect(LARGE_PIECE)
    private val address: Long = Pointer.nativeValue(Native.getDirectBufferPointer(buffer))

    /** Fetches what has come under that number, at most [max] bytes, and gives what [LentCalls.twinpath_try_read] does. */
    fun fetch(number: Long, max: Int): Int = LentCalls.twinpath_try_read(number, address, minOf(max, LARGE_PIECE))

    /** The bytes that were fetched. */
    fun fetched(count: Int): ByteArray = ByteArray(count).also { fetched(count, it, 0) }

    /** Puts the bytes that were fetched where they are wanted. */
    fun fetched(count: Int, into: ByteArray, offset: Int) {
        buffer.clear()
        buffer.get(into, offset, count)
    }

    /**
     * Has so many bytes accepted, as far as there is room, and tells how many; 0 if there is none. What the library tells
     * only in its other way, [otherwise] does.
     */
    inline fun write(number: Long, bytes: ByteArray, offset: Int, length: Int, otherwise: (ByteBuffer) -> Int): Int {
        val size = minOf(length, LARGE_PIECE)
        buffer.clear()
        buffer.put(bytes, offset, size).flip()
        return when (val count = LentCalls.twinpath_try_write(number, address, size)) {
            LentCalls.NOTHING_YET -> 0
            LentCalls.ELSEWHERE -> otherwise(buffer)
            else -> count
        }
    }

    companion object {
        private val ofThread = object : ThreadLocal<LentMemory>() {
            override fun initialValue() = LentMemory()
        }

        /** Whoever uses it does not suspend meanwhile. */
        fun get(): LentMemory = ofThread.get()
    }
}
