package org.twinpath.okhttp

import java.io.File
import java.io.IOException
import java.net.ProtocolException
import okhttp3.Request
import okhttp3.RequestBody as OkHttpBody
import okio.Buffer
import okio.ForwardingSink
import okio.Sink
import okio.buffer
import okio.sink
import org.twinpath.RequestBody
import org.twinpath.ffi.UniffiCleaner
import org.twinpath.ffi.UniffiLib

/** The body of a request, kept so that it can be sent again. */
internal class Spooled private constructor(val body: RequestBody, val size: Long, private val file: File? = null) {
    fun delete() {
        file?.delete()
    }

    /** Has the file stay until this is cleaned. Whoever forgets to close an answer leaves none behind either. */
    fun keptFor(answer: Any): UniffiCleaner.Cleanable? {
        val file = file ?: return null
        return UniffiLib.CLEANER.register(answer) { file.delete() }
    }

    /** Takes as many bytes as were announced: no server is told of a body that is none of these. */
    private class Counting(to: Sink, private val announced: Long) : ForwardingSink(to) {
        var size = 0L

        override fun write(source: Buffer, byteCount: Long) {
            size += byteCount
            if (announced in 0 until size) {
                throw ProtocolException("the request's body has more bytes than the $announced it announces")
            }
            super.write(source, byteCount)
        }
    }

    companion object {
        fun of(request: Request): Spooled {
            val body = request.body ?: return Spooled(RequestBody.None, 0)
            if (body.isDuplex()) throw IOException("Twinpath does not send and receive at once: a duplex body cannot be sent")
            val announced = body.contentLength()
            if (announced in 0..LARGEST_IN_MEMORY) {
                val buffer = Buffer()
                body.written(buffer, announced)
                return Spooled(RequestBody.Bytes(buffer.readByteArray()), announced)
            }
            val file = File.createTempFile("twinpath", null)
            try {
                return Spooled(RequestBody.OfFile(file), body.written(file.sink(), announced), file)
            } catch (failure: Throwable) {
                file.delete()
                throw failure
            }
        }

        private fun OkHttpBody.written(to: Sink, announced: Long): Long {
            val counting = Counting(to, announced)
            counting.buffer().use(this::writeTo)
            if (announced > counting.size) {
                throw ProtocolException("the request's body has ${counting.size} bytes, and announces $announced")
            }
            return counting.size
        }

        const val LARGEST_IN_MEMORY = 1024L * 1024
    }
}
