package org.twinpath.okhttp

import java.io.File
import java.lang.ref.Reference
import java.net.ProtocolException
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.delay
import okhttp3.Headers.Companion.headersOf
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody
import okhttp3.RequestBody.Companion.toRequestBody
import okio.BufferedSink
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Test
import org.twinpath.Lab
import org.twinpath.TwinpathHttpClient
import org.twinpath.anyServer
import org.twinpath.inLab

/** What goes up by the interceptor, and where it leads, as OkHttp has it. */
internal class BodiesTest {
    private class Announcing(val announced: Long, val size: Int) : RequestBody() {
        override fun contentType() = "text/plain".toMediaType()

        override fun contentLength() = announced

        override fun writeTo(sink: BufferedSink) {
            sink.write(ByteArray(size))
        }
    }

    private fun post(id: String, body: RequestBody) = Request.Builder().url("${Lab.http}apply?id=$id").post(body)

    @Test
    fun `a body that is not as long as it says is not sent`() = inLab {
        // In memory and in a file.
        for ((announced, size) in listOf(5L to 3, 5L to 10, 0L to 3, 3_000_000L to 100, 3_000_000L to 3_100_000)) {
            for (client in listOf(OkHttpClient(), intercepting())) {
                val call = client.newCall(post("lie$size", Announcing(announced, size)).build())
                assertThrows(ProtocolException::class.java) { call.execute() }
            }
            assertEquals("0", Lab.order("applied id=lie$size"))
        }
        intercepting().newCall(post("unsaid", Announcing(-1, 7)).build()).execute().use {
            assertEquals("7 bytes", it.body.string())
        }
    }

    @Test
    fun `what a header says of a body does not cut it off`() = inLab {
        val said = headersOf("Content-Length", "3", "Transfer-Encoding", "chunked", "Content-Type", "text/html")
        val request = post("headers", ByteArray(10).toRequestBody("text/plain".toMediaType())).headers(said).build()
        intercepting().newCall(request).execute().use { assertEquals("10 bytes", it.body.string()) }
    }

    @Test
    fun `a body may go up for longer than a read may wait`() = inLab {
        val client = intercepting().newBuilder().readTimeout(1, TimeUnit.SECONDS).build()
        // Two seconds on the lab's Wi-Fi.
        client.newCall(post("long", Announcing(5_000_000, 5_000_000)).build()).execute().use {
            assertEquals("5000000 bytes", it.body.string())
        }
    }

    @Test
    fun `a redirect to where HTTP does not lead is the answer`() = inLab {
        for (nowhere in listOf("http://[bad", "ftp://x/y", "mailto:x@y.example", "http://a:99999/", "http://")) {
            for (client in listOf(OkHttpClient(), intercepting())) {
                val request = Request.Builder().url("${Lab.http}redirect?to=$nowhere").build()
                client.newCall(request).execute().use {
                    assertEquals(302, it.code)
                    assertEquals(nowhere, it.header("location"))
                    assertEquals(request.url, it.request.url)
                }
            }
        }
    }

    @Test
    fun `a redirect to what is no URL to OkHttp fails as a call does`() = inLab {
        val server = java.net.URI(Lab.http)
        val http = TwinpathHttpClient(anyServer()) { connectTo = "${server.host}:${server.port}" }
        val client = OkHttpClient.Builder().addInterceptor(TwinpathInterceptor(http)).build()
        val request = Request.Builder().url("${Lab.http}redirect?to=http://a..b/file?size=3").build()
        assertThrows(ProtocolException::class.java) { client.newCall(request).execute() }
    }

    @Test
    fun `an answer that nobody closes leaves no file behind`() = inLab {
        val left = leaveThree()
        while (files().any { it in left }) {
            System.gc()
            delay(10)
        }
    }

    /** The files of three answers that nobody has any more. */
    private fun leaveThree(): Set<String> {
        val before = files()
        val client = intercepting()
        val answers = List(3) { client.newCall(post("left$it", Announcing(-1, 10)).build()).execute() }
        val left = files() - before
        Reference.reachabilityFence(answers)
        assertEquals(3, left.size, "$left")
        return left
    }

    private fun files(): Set<String> =
        checkNotNull(File(System.getProperty("java.io.tmpdir")).list { _, name -> name.startsWith("twinpath") }).toSet()
}
