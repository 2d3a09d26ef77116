package org.twinpath

import com.sun.jna.Native
import com.sun.jna.Pointer
import java.nio.ByteBuffer
import org.twinpath.ffi.Connection

/**
 * Memory outside of the heap, through which the bytes of one thread go to the library and come from it. A call that has numbers
 * alone takes JNA a fraction of what one takes that has structures, as all have that are generated.
 */
internal class LentMemory private constructor() {
    private val buffer: ByteBuffer = ByteBuffer.allocateDirect(LARGE_PIECE)
    private val address: Long = Pointer.nativeValue(Native.getDirectBufferPointer(buffer))

    /** What has come for the connection, at most [max] bytes; none if there is nothing at the moment. */
    fun read(connection: Connection, number: Long, max: Int): ByteArray {
        val count = LentCalls.twinpath_try_read(number, address, minOf(max, LARGE_PIECE))
        if (count < 0) return connection.tryRead(max.toUInt())
        buffer.clear()
        return ByteArray(count).also { buffer.get(it) }
    }

    /** Has the connection accept as many of so many bytes as it has room for, and tells how many. */
    fun write(connection: Connection, number: Long, bytes: ByteArray, offset: Int, length: Int): Int {
        val size = minOf(length, LARGE_PIECE)
        buffer.clear()
        buffer.put(bytes, offset, size).flip()
        val count = LentCalls.twinpath_try_write(number, address, size)
        return if (count < 0) connection.tryWrite(buffer).toInt() else count
    }

    companion object {
        private val ofThread = object : ThreadLocal<LentMemory>() {
            override fun initialValue() = LentMemory()
        }

        /** Whoever uses it does not suspend meanwhile. */
        fun get(): LentMemory = ofThread.get()
    }
}

/** See `bindings/ffi/src/lent.rs`. */
internal object LentCalls {
    init {
        Native.register(LentCalls::class.java, System.getProperty("uniffi.component.twinpath_ffi.libraryOverride") ?: "twinpath_ffi")
    }

    @JvmStatic
    @Suppress("FunctionName")
    external fun twinpath_try_read(number: Long, address: Long, length: Int): Int

    @JvmStatic
    @Suppress("FunctionName")
    external fun twinpath_try_write(number: Long, address: Long, length: Int): Int
}
