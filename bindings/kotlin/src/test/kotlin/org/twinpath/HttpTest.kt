package org.twinpath

import java.io.ByteArrayOutputStream
import java.io.File
import kotlin.system.measureTimeMillis
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeoutOrNull
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

internal class HttpTest {
    private fun client(standby: Standby = Standby.COLD) =
        TwinpathHttpClient(
            anyServer {
                this.standby = standby
                budgetPerDay = null
            },
        ) {
            tls.roots = Lab.root
            tls.onlyTheseRoots = true
        }

    @Test
    fun `a download goes on in its middle when wifi dies`() = inLab {
        for (site in listOf(Lab.http, Lab.https)) {
            client().use { client ->
                client.get("${site}file?id=kotlin${site.length}&size=6000000&seed=3").use { response ->
                    assertEquals(200, response.status)
                    assertEquals(6_000_000L, response.contentLength)
                    var got = byteArrayOf()
                    while (got.size < 1_500_000) got += checkNotNull(response.read())
                    Lab.order("wifi blackhole")
                    got += response.bytes()
                    assertEquals(Lab.order("hash 3 6000000"), hash(got))
                    assertEquals(6_000_000L, response.progress.received)
                    val summary = response.summary
                    assertEquals(1, summary.resumes, "$summary")
                    assertEquals(0L, summary.fetchedAgain)
                    assertEquals(listOf(Role.PRIMARY, Role.BACKUP), summary.paths.map { it.role })
                    assertTrue(summary.onBackup > 1_000_000)
                }
            }
            Lab.order("wifi heal")
        }
    }

    @Test
    fun `a cancelled read of an answer loses no byte and closing it ends what waits`() = inLab {
        client().use { client ->
            client.get("${Lab.https}file?size=3000000&seed=4").use { response ->
                val got = ByteArrayOutputStream()
                repeat(200) {
                    withTimeoutOrNull(it % 5L) {
                        while (true) got.write(response.read(20_000) ?: break)
                    }
                }
                val array = ByteArray(30_000)
                repeat(10) { got.write(array, 5, response.read(array, 5, 20_000)) }
                got.write(response.bytes())
                assertEquals(-1, response.read(array))
                assertEquals(Lab.order("hash 4 3000000"), hash(got.toByteArray()))
                assertEquals(3_000_000L, response.progress.received)
                assertNull(response.read())
            }
            val response = client.get("${Lab.http}file?size=50000000&seed=4")
            Lab.order("wifi blackhole")
            Lab.order("cellular blackhole")
            val reading = async { failure { while (true) response.read() } }
            while (Waiting.count == 0) delay(5)
            val took = measureTimeMillis {
                response.close()
                assertEquals(ErrorKind.CLOSED, reading.await().kind)
            }
            assertTrue(took < 100, "$took ms")
            assertEquals(0, Waiting.count)
        }
    }

    @Test
    fun `a download into a file can be cancelled and gone on with`() = inLab {
        val file = File.createTempFile("twinpath", null)
        try {
            client().use { client ->
                client.get("${Lab.https}file?size=8000000&seed=5").use { response ->
                    for (size in 500_000L..6_000_000L step 500_000L) {
                        val saving = launch { response.saveTo(file) }
                        while (file.length() < size) kotlinx.coroutines.delay(1)
                        saving.cancelAndJoin()
                    }
                    response.saveTo(file)
                }
            }
            assertEquals(Lab.order("hash 5 8000000"), hash(file.readBytes()))
        } finally {
            file.delete()
        }
    }

    @Test
    fun `what is not to be done twice is done once`() = inLab {
        client().use { client ->
            val post = { id: String, key: String? ->
                TwinpathRequest(
                    "POST",
                    "${Lab.https}apply?id=$id&head=700",
                    body = RequestBody.Bytes("amount=1".toByteArray()),
                    idempotencyKey = key,
                )
            }
            launch {
                while (Lab.order("applied id=kotlin1") == "0") kotlinx.coroutines.delay(5)
                Lab.order("wifi blackhole")
            }
            assertEquals(ErrorKind.INTERRUPTED, failure { client.send(post("kotlin1", null)) }.kind)
            assertEquals("1", Lab.order("applied id=kotlin1"))
            client.send(post("kotlin2", "a-key")).use { assertEquals(200, it.status) }
            assertEquals("1", Lab.order("applied id=kotlin2"))
        }
    }

    @Test
    fun `bodies go up from memory and from files`() = inLab {
        val file = File.createTempFile("twinpath", null).apply { writeBytes(pattern(300_000)) }
        try {
            client().use { client ->
                for (body in listOf(RequestBody.Bytes(pattern(300_000)), RequestBody.OfFile(file))) {
                    val request = TwinpathRequest("PUT", "${Lab.http}apply?id=put", body = body)
                    client.send(request).use { assertEquals(200, it.status) }
                }
            }
        } finally {
            file.delete()
        }
    }

    @Test
    fun `heads are told and compression is taken off`() = inLab {
        client().use { client ->
            client.get("${Lab.https}file?size=100000&seed=2&gzip=1").use { response ->
                assertEquals("HTTP/2.0", response.version)
                assertEquals(null, response.header("Content-Encoding"))
                assertEquals(Lab.order("hash 2 100000"), hash(response.bytes()))
            }
            client.get("${Lab.http}status?code=404&times=9").use { assertEquals(404, it.status) }
            val target = "/file?size=10"
            client.get("${Lab.http}redirect?to=$target").use { response ->
                assertTrue(response.url.endsWith(target), response.url)
                assertEquals(10, response.bytes().size)
            }
        }
    }

    @Test
    fun `who is not trusted is not talked to`() = inLab {
        TwinpathHttpClient(anyServer()).use { client ->
            val failure = failure { client.get("${Lab.https}file?size=10") }
            assertEquals(ErrorKind.NOT_PERMITTED, failure.kind, "$failure")
        }
        val wrong = TwinpathHttpClient(anyServer()) {
            tls.roots = Lab.root
            tls.onlyTheseRoots = true
            tls.pins = listOf(ByteArray(32))
        }
        assertEquals(ErrorKind.NOT_PERMITTED, failure { wrong.get("${Lab.https}file?size=10") }.kind)
    }

    @Test
    fun `through a gateway requests ride the protected connection`() = inLab {
        // The lab's gateway leads to an echo, which is no web server: it is told as such.
        val client = TwinpathHttpClient(connector()) { connectTo = "${Lab.gatewayHost}:${Lab.gatewayPort}" }
        val failure = failure { client.get("http://any.example/") }
        assertEquals(ErrorKind.PROTOCOL, failure.kind, "$failure")
    }
}
