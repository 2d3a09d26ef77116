package org.twinpath.okhttp

import java.io.File
import java.io.IOException
import java.io.InterruptedIOException
import java.net.ProtocolException
import java.net.SocketTimeoutException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.nanoseconds
import kotlin.time.TimeSource
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import okhttp3.Call
import okhttp3.Headers
import okhttp3.Interceptor
import okhttp3.MediaType
import okhttp3.MediaType.Companion.toMediaTypeOrNull
import okhttp3.Protocol
import okhttp3.Request
import okhttp3.Response
import okhttp3.ResponseBody
import okio.Buffer
import okio.BufferedSource
import okio.Source
import okio.Timeout
import okio.buffer
import okio.sink
import org.twinpath.Header
import org.twinpath.RequestBody
import org.twinpath.TwinpathHttpClient
import org.twinpath.TwinpathRequest
import org.twinpath.TwinpathResponse

/**
 * Has the calls of an `OkHttpClient` made by Twinpath, towards any web server: when Wi-Fi dies, requests that may be
 * repeated are made again over cellular, downloads go on in their middle, and what is not to be done twice is done once.
 *
 * ```
 * val client = OkHttpClient.Builder().addInterceptor(TwinpathInterceptor(http)).build()
 * ```
 *
 * It must be the last application interceptor: what OkHttp itself does below (its connections, cache, cookies, redirects,
 * authenticators and network interceptors) is not reached. Redirects and compression are Twinpath's. A read timeout holds
 * for each wait, beyond what it takes to change the path; the time for a call, for all of it with its body. WebSockets are
 * refused: they need an `OkHttpClient` of their own.
 */
public class TwinpathInterceptor(private val client: TwinpathHttpClient) : Interceptor {
    override fun intercept(chain: Interceptor.Chain): Response {
        val request = chain.request()
        if (request.header("Upgrade") != null) {
            throw ProtocolException(
                "Twinpath's HTTP client does not upgrade connections: make WebSockets by an OkHttpClient without this interceptor",
            )
        }
        val call = chain.call()
        val limit = Limit(chain.readTimeoutMillis(), call.timeout().timeoutNanos())
        val spooled = Spooled.of(request)
        val response = try {
            waiting(call, limit) { client.send(request.over(spooled.body)) }
        } catch (failure: Throwable) {
            spooled.delete()
            throw failure
        }
        val protocol = if (response.version == "HTTP/2.0") Protocol.HTTP_2 else Protocol.HTTP_1_1
        val headers = Headers.Builder().apply { response.headers.forEach { addUnsafeNonAscii(it.name, it.value) } }.build()
        val isEmpty = request.method == "HEAD" || response.status == 204 || response.status == 304
        return Response.Builder()
            .request(request.newBuilder().url(response.url).build())
            .protocol(protocol)
            .code(response.status)
            .message("")
            .headers(headers)
            .body(Body(response, headers["content-type"]?.toMediaTypeOrNull(), isEmpty, call, limit, spooled))
            .build()
    }
}

private fun Request.over(body: RequestBody): TwinpathRequest {
    val sent = headers.map { (name, value) -> Header(name, value) }.toMutableList()
    val type = this.body?.contentType()
    if (type != null && header("Content-Type") == null) sent += Header("content-type", type.toString())
    return TwinpathRequest(method, url.toString(), sent, body)
}

/** The body of a request, kept so that it can be sent again. */
private class Spooled(val body: RequestBody, private val file: File?) {
    fun delete() {
        file?.delete()
    }

    companion object {
        fun of(request: Request): Spooled {
            val body = request.body ?: return Spooled(RequestBody.None, null)
            if (body.isDuplex()) throw IOException("Twinpath does not send and receive at once: a duplex body cannot be sent")
            if (body.contentLength() in 0..LARGEST_IN_MEMORY) {
                val buffer = Buffer().also(body::writeTo)
                return Spooled(RequestBody.Bytes(buffer.readByteArray()), null)
            }
            val file = File.createTempFile("twinpath", null)
            val spooled = Spooled(RequestBody.OfFile(file), file)
            try {
                file.sink().buffer().use(body::writeTo)
            } catch (failure: Throwable) {
                spooled.delete()
                throw failure
            }
            return spooled
        }

        const val LARGEST_IN_MEMORY = 1024L * 1024
    }
}

private class Body(
    private val response: TwinpathResponse,
    private val type: MediaType?,
    private val isEmpty: Boolean,
    private val call: Call,
    private val limit: Limit,
    /** Needed until the answer is over: it may be asked for again. */
    private val spooled: Spooled,
) : ResponseBody() {
    private val source: BufferedSource = object : Source {
        private val ahead = ReadAhead { response.now(it) ?: waiting(call, limit) { response.read(it) } }

        override fun read(sink: Buffer, byteCount: Long): Long {
            if (call.isCanceled()) throw IOException("Canceled")
            if (byteCount == 0L) return 0
            if (limit.now() == Duration.ZERO) throw InterruptedIOException("timeout")
            val length = byteCount.coerceAtMost(ReadAhead.SIZE.toLong()).toInt()
            return ahead.read(length) { bytes, offset, count -> sink.write(bytes, offset, count) }.toLong()
        }

        override fun timeout() = Timeout.NONE

        override fun close() {
            response.close()
            spooled.delete()
        }
    }.buffer()

    override fun contentType() = type

    // What a head tells of another request's body is no length of this one.
    override fun contentLength() = if (isEmpty) 0 else response.contentLength ?: -1

    override fun source() = source
}

/** How long a wait may take: OkHttp's own clock for the whole call is stopped as soon as there is a head. */
private class Limit(eachMillis: Int, allNanos: Long) {
    private val each = if (eachMillis > 0) eachMillis.milliseconds else Duration.INFINITE
    private val end = if (allNanos > 0) TimeSource.Monotonic.markNow() + allNanos.nanoseconds else null

    fun now(): Duration = end?.let { minOf(each, -it.elapsedNow()).coerceAtLeast(Duration.ZERO) } ?: each
}

/** How soon a cancelled call ends. */
private const val LOOK_MILLIS = 25L

/** Waits as OkHttp's callers do: on their thread, until the call is cancelled or it takes too long. */
private fun <T : Any> waiting(call: Call, limit: Limit, work: suspend () -> T): T {
    // Time may be up just as it is done: then it is done.
    var done: T? = null
    return try {
        runBlocking {
            withTimeout(limit.now()) {
                coroutineScope {
                    val looking = launch {
                        while (true) {
                            delay(LOOK_MILLIS)
                            if (call.isCanceled()) throw IOException("Canceled")
                        }
                    }
                    work().also {
                        done = it
                        looking.cancel()
                    }
                }
            }
        }
    } catch (late: TimeoutCancellationException) {
        done ?: throw SocketTimeoutException("timeout").apply { initCause(late) }
    } catch (cancelled: CancellationException) {
        throw IOException("Canceled", cancelled)
    } catch (_: InterruptedException) {
        Thread.currentThread().interrupt()
        throw InterruptedIOException("interrupted")
    }
}
