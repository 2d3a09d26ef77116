package org.twinpath.okhttp

import java.io.IOException
import java.io.InterruptedIOException
import java.net.SocketTimeoutException
import java.net.URI
import java.security.Provider
import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit
import javax.net.ssl.SSLContext
import javax.net.ssl.SSLSocket
import kotlin.concurrent.thread
import kotlin.system.measureTimeMillis
import okhttp3.OkHttpClient
import okhttp3.Protocol
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody
import okhttp3.Response
import okhttp3.TlsVersion
import okhttp3.WebSocket
import okhttp3.WebSocketListener
import okio.Buffer
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.twinpath.Lab
import org.twinpath.TwinpathHttpClient
import org.twinpath.anyServer
import org.twinpath.conscrypt
import org.twinpath.connector
import org.twinpath.hash
import org.twinpath.inLab
import org.twinpath.managerOf
import org.twinpath.pattern

internal class OkHttpTest {
    private fun OkHttpClient.downloadThroughDeath(url: String): Protocol {
        newCall(Request.Builder().url(url).build()).execute().use { response ->
            assertEquals(200, response.code)
            val got = Buffer()
            while (got.size < 1_500_000) response.body.source().read(got, 65536)
            Lab.order("wifi blackhole")
            got.writeAll(response.body.source())
            assertEquals(Lab.order("hash 3 6000000"), hash(got.readByteArray()))
            Lab.order("wifi heal")
            return response.protocol
        }
    }

    @Test
    fun `downloads from any server go on in their middle`() = inLab {
        val client = intercepting()
        assertEquals(Protocol.HTTP_1_1, client.downloadThroughDeath("${Lab.http}file?id=ok1&size=6000000&seed=3"))
        assertEquals(Protocol.HTTP_2, client.downloadThroughDeath("${Lab.https}file?id=ok2&size=6000000&seed=3"))
    }

    @Test
    fun `bodies go up and answers are OkHttp's`() = inLab {
        val client = intercepting()
        for (size in listOf(1000, 3_000_000)) {
            val request = Request.Builder().url("${Lab.https}apply?id=ok$size").put(pattern(size).toRequestBody()).build()
            client.newCall(request).execute().use { assertEquals(200, it.code) }
            assertEquals("1", Lab.order("applied id=ok$size"))
        }
        val head = Request.Builder().url("${Lab.http}file?size=10").head().build()
        client.newCall(head).execute().use { response ->
            assertEquals("10", response.header("content-length"))
            assertEquals(0, response.body.bytes().size)
        }
        val moved = Request.Builder().url("${Lab.http}redirect?to=/file?size=10").build()
        client.newCall(moved).execute().use { response ->
            assertEquals("/file", response.request.url.encodedPath)
            assertEquals(10L, response.body.contentLength())
            assertEquals(10, response.body.bytes().size)
        }
    }

    @Test
    fun `a cancelled call ends at once`() = inLab {
        val call = intercepting().newCall(Request.Builder().url("${Lab.http}file?size=10&head=20000").build())
        thread {
            Thread.sleep(300)
            call.cancel()
        }
        val took = measureTimeMillis { assertThrows(IOException::class.java) { call.execute() } }
        assertTrue(took in 300..600, "$took ms")
    }

    @Test
    fun `the time for a call is for its body as well`() = inLab {
        val client = intercepting().newBuilder().callTimeout(500, TimeUnit.MILLISECONDS).build()
        val request = Request.Builder().url("${Lab.http}file?size=100000&pause=50000&for=3000").build()
        client.newCall(request).execute().use { response ->
            val took = measureTimeMillis {
                assertThrows(InterruptedIOException::class.java) { response.body.bytes() }
            }
            assertTrue(took < 700, "$took ms")
        }
    }

    @Test
    fun `a WebSocket is refused in words`() = inLab {
        val told = CompletableFuture<Throwable>()
        val listener = object : WebSocketListener() {
            override fun onOpen(webSocket: WebSocket, response: Response) = check(told.cancel(true))

            override fun onFailure(webSocket: WebSocket, t: Throwable, response: Response?) = check(told.complete(t))
        }
        intercepting().newWebSocket(Request.Builder().url("${Lab.http}file?size=10").build(), listener)
        val refused = told.get(5, TimeUnit.SECONDS)
        assertTrue("without this interceptor" in refused.message.orEmpty(), "$refused")
    }

    @Test
    fun `behind a gateway whole connections outlive wifi`() = inLab {
        // The JVM's TLS, and Android's.
        for (provider in listOf(null, conscrypt)) {
            val client = overSockets(provider)
            val protocol = client.downloadThroughDeath("${Lab.behind}file?size=6000000&seed=3")
            assertEquals(Protocol.HTTP_2, protocol)
            // The same connection serves on.
            client.newCall(Request.Builder().url("${Lab.behind}file?size=10").build()).execute().use {
                assertEquals(200, it.code)
                assertEquals(TlsVersion.TLS_1_3, it.handshake?.tlsVersion)
            }
            assertEquals(1, client.connectionPool.connectionCount())
            client.connectionPool.evictAll()
        }
    }

    @Test
    fun `Conscrypt drives an engine over a socket that has no descriptor`() = inLab {
        val tls = SSLContext.getInstance("TLS", conscrypt)
        tls.init(null, arrayOf(managerOf(Lab.root, conscrypt)), null)
        val server = URI(Lab.behind)
        connector().use { connector ->
            val socket = TwinpathSocketFactory(connector).createSocket(server.host, server.port)
            (tls.socketFactory.createSocket(socket, server.host, server.port, true) as SSLSocket).use { secure ->
                assertTrue("EngineSocket" in secure.javaClass.name, secure.javaClass.name)
                secure.soTimeout = 300
                secure.startHandshake()
                assertEquals("TLSv1.3", secure.session.protocol)
                // What interrupts a read of the socket below interrupts one of the stream above.
                assertThrows(SocketTimeoutException::class.java) { secure.inputStream.read() }
                secure.soTimeout = 0
                thread {
                    Thread.sleep(300)
                    secure.close()
                }
                val end = runCatching { secure.inputStream.read() }
                assertTrue(end.isFailure || end.getOrNull() == -1, "$end")
            }
        }
    }

    @Test
    fun `every name has a place of its own and keeps its name`() {
        val names = List(1000) { "host$it.example" }
        val places = names.map { TwinpathDns.lookup(it).single() }
        assertEquals(names, places.map { it.hostName })
        assertEquals(names.size, places.map { it.hostAddress }.toSet().size)
        assertEquals(places[7], TwinpathDns.lookup("HOST7.example").single())
    }
}

/** Whose calls the HTTP client makes. */
internal fun intercepting(): OkHttpClient {
    val http = TwinpathHttpClient(anyServer { budgetPerDay = null }) {
        tls.roots = Lab.root
        tls.onlyTheseRoots = true
    }
    return OkHttpClient.Builder().addInterceptor(TwinpathInterceptor(http)).readTimeout(5, TimeUnit.SECONDS).build()
}

/** Whose servers stand behind the lab's second gateway, which leads to the web server. */
internal fun overSockets(provider: Provider? = null): OkHttpClient {
    val trust = managerOf(Lab.root, provider)
    val tls = if (provider == null) SSLContext.getInstance("TLS") else SSLContext.getInstance("TLS", provider)
    tls.init(null, arrayOf(trust), null)
    return OkHttpClient.Builder()
        .socketFactory(TwinpathSocketFactory(connector()))
        .dns(TwinpathDns)
        .sslSocketFactory(tls.socketFactory, trust)
        .readTimeout(5, TimeUnit.SECONDS)
        .build()
}
