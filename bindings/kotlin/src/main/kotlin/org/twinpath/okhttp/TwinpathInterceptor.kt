package org.twinpath.okhttp

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
import okhttp3.HttpUrl.Companion.toHttpUrlOrNull
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
 * for each wait, beyond what it takes to change the path; while a request's body goes up, the write timeout for each 64 KiB
 * of it comes on top; the time for a call, for all of it with its body. WebSockets are refused: they need an `OkHttpClient` of
 * their own.
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
        var answer: TwinpathResponse? = null
        try {
            answer = waiting(call, limit, chain.writing(spooled.size)) { client.send(request.over(spooled.body)) }
            return answer.over(request) { type, isEmpty -> Body(answer, type, isEmpty, call, limit, spooled) }
        } catch (failure: Throwable) {
            answer?.close()
            spooled.delete()
            throw failure
        }
    }
}

/** How long OkHttp lets a body go up for: it has a time for each piece of it. */
private fun Interceptor.Chain.writing(bytes: Long): Duration =
    when {
        bytes == 0L -> Duration.ZERO
        writeTimeoutMillis() == 0 -> Duration.INFINITE
        else -> (writeTimeoutMillis() * (bytes / WRITTEN_AT_ONCE + 1)).milliseconds
    }

private fun Request.over(body: RequestBody): TwinpathRequest {
    // How long the body is, and what it is, is its own business, as OkHttp has it.
    val type = this.body?.contentType()
    val unsaid = listOfNotNull("Content-Length", "Transfer-Encoding", if (type == null) null else "Content-Type")
    val sent = headers.filter { (name, _) -> unsaid.none { it.equals(name, ignoreCase = true) } }
        .map { (name, value) -> Header(name, value) }
    val told = listOfNotNull(type?.let { Header("content-type", "$it") })
    return TwinpathRequest(method, url.toString(), sent + told, body)
}

private fun TwinpathResponse.over(request: Request, body: (MediaType?, Boolean) -> ResponseBody): Response {
    // Not everybody agrees on what a URL is. Whatever else than an IOException gets out of here ends the app on Android.
    val url = url.toHttpUrlOrNull() ?: throw ProtocolException("the server leads to $url, which is no URL to OkHttp")
    val protocol = when (version) {
        "HTTP/2.0" -> Protocol.HTTP_2
        "HTTP/1.0" -> Protocol.HTTP_1_0
        else -> Protocol.HTTP_1_1
    }
    val headers = Headers.Builder().apply { headers.forEach { addUnsafeNonAscii(it.name, it.value) } }.build()
    val isEmpty = request.method == "HEAD" || status == 204 || status == 304
    return Response.Builder()
        .request(request.newBuilder().url(url).build())
        .protocol(protocol)
        .code(status)
        .message("")
        .headers(headers)
        .body(body(headers["content-type"]?.toMediaTypeOrNull(), isEmpty))
        .build()
}

private class Body(
    private val response: TwinpathResponse,
    private val type: MediaType?,
    private val isEmpty: Boolean,
    private val call: Call,
    private val limit: Limit,
    /** Needed until the answer is over: it may be asked for again. */
    spooled: Spooled,
) : ResponseBody() {
    private val kept = spooled.keptFor(this)
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
            kept?.clean()
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

    /** With so much [more] than is for a read. */
    fun now(more: Duration = Duration.ZERO): Duration =
        end?.let { minOf(each + more, -it.elapsedNow()).coerceAtLeast(Duration.ZERO) } ?: (each + more)
}

/** How soon a cancelled call ends. */
private const val LOOK_MILLIS = 25L

/** What OkHttp has a time for. */
private const val WRITTEN_AT_ONCE = 64L * 1024

/** Waits as OkHttp's callers do: on their thread, until the call is cancelled or it takes too long. */
private fun <T : Any> waiting(call: Call, limit: Limit, more: Duration = Duration.ZERO, work: suspend () -> T): T {
    // Time may be up just as it is done: then it is done.
    var done: T? = null
    return try {
        runBlocking {
            withTimeout(limit.now(more)) {
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
        done ?: throw IOException("Canceled", cancelled)
    } catch (_: InterruptedException) {
        Thread.currentThread().interrupt()
        done ?: throw InterruptedIOException("interrupted")
    }
}
