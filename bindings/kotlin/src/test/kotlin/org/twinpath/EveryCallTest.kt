package org.twinpath

import java.net.NetworkInterface
import java.nio.ByteBuffer
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.twinpath.ffi.Cancellation
import org.twinpath.ffi.Connector
import org.twinpath.ffi.ConnectorOptions
import org.twinpath.ffi.Failure
import org.twinpath.ffi.Hooks
import org.twinpath.ffi.Kind
import org.twinpath.ffi.Peer as FfiPeer
import org.twinpath.ffi.Service

/** What an app can set and see and no other test has to do with; `bindings/api/used` says whether something is missing. */
internal class EveryCallTest {
    private fun client(service: ServiceType = ServiceType.HANDOVER, options: TwinpathHttpOptions.() -> Unit = {}) =
        TwinpathHttpClient(anyServer { this.service = service; budgetPerDay = null }) {
            tls.roots = Lab.root
            tls.onlyTheseRoots = true
            options()
        }

    @Test
    fun `a diagnosis tells of each path`() = inLab {
        val json = TwinpathLibrary.diagnose(Lab.gatewayHost, Lab.gatewayPort)
        assertTrue(json.startsWith("{") && "\"v\":1" in json, json)
        for (name in listOf("wlan0", "wwan0")) assertTrue("\"interface\":\"$name\"" in json, json)
        // The gateway speaks MPTCP, and nothing in the lab takes it out.
        assertEquals(2, json.split("\"verdict\":\"works\"").size - 1, json)
        val missing = failure { TwinpathLibrary.diagnose(Lab.gatewayHost, Lab.gatewayPort, listOf("nowhere0")) }
        assertTrue("nowhere0" in missing.message.orEmpty(), "$missing")
    }

    @Test
    fun `a host may be an exception and a mandate disobeyed`() = inLab {
        TwinpathLibrary.setProxyMandated(true)
        try {
            val connector = anyServer {
                peers[Lab.gatewayHost] = Peer.GATEWAY
                respectMandates = false
            }
            connector.use { it.toGateway() }.use { assertEquals(Mode.EMULATED, it.stats.mode) }
        } finally {
            TwinpathLibrary.setProxyMandated(false)
        }
    }

    @Test
    fun `a session is held for no longer than was asked for`() = inLab {
        connector { timeToLive = 300.milliseconds }.use { connector ->
            connector.toGateway().use { connection ->
                connection.write("hello".toByteArray())
                connection.readExactly(5)
                connector.suspend()
                val lost = connection.events.filterIsInstance<TwinpathEvent.LegDown>().first()
                assertTrue(lost.reason.isNotBlank())
                failure { connection.read() }
            }
        }
    }

    @Test
    fun `the account of a connection adds up`() = inLab {
        val connector = connector { budgetPerDay = 1_000_000 }
        connector.toGateway().use { connection ->
            while (!connection.stats.protection.isProtected) delay(5)
            assertEquals("protected", connection.stats.protection.description)
            connection.write("hello".toByteArray())
            connection.readExactly(5)
            delay(50)
            val stats = connection.stats
            assertTrue(stats.age > 50.milliseconds)
            assertTrue(stats.failbacks <= stats.failovers)
            // The lab's Wi-Fi has 20 ms.
            assertTrue(checkNotNull(stats.paths.first().roundTrip) > 15.milliseconds)
            val budget = connector.budget
            assertEquals(budget.perDay, budget.used + checkNotNull(budget.remaining))
            val summary = connection.shutdown()
            val unprotected = summary.unprotectedFor.values.fold(Duration.ZERO, Duration::plus)
            assertTrue(summary.protectedFor > 50.milliseconds)
            assertTrue((summary.protectedFor + unprotected - summary.duration).absoluteValue < 5.milliseconds, "$summary")
            assertTrue(summary.needlessHedges <= summary.hedges)
            assertEquals(stats.failbacks to stats.hedges, summary.failbacks to summary.hedges)
        }
    }

    @Test
    fun `a network has the handle and the index that the platform gives it`() = inLab {
        val dialled = ConcurrentLinkedQueue<LegTarget>()
        val name = "wlan0"
        val device = NetworkInterface.getByName(name)
        val addresses = device.inetAddresses.toList()
        val network =
            TwinpathNetwork(name, InterfaceKind.WIFI, addresses, hasIpv4 = true, index = device.index, handle = 77)
        try {
            TwinpathLibrary.setNetworks(listOf(network))
            val connector = connector {
                dialer = LegDialer { target, pipe -> dialled += target; PosixDialer.dial(target, pipe) }
            }
            connector.use { it.toGateway() }.use { assertEquals(Mode.SINGLE_PATH, it.stats.mode) }
        } finally {
            TwinpathLibrary.setNetworks(null)
        }
        assertEquals(77L, dialled.first().networkHandle)
    }

    @Test
    fun `requests take what they are given`() = inLab {
        val target = "/file?size=10"
        val url = "${Lab.http}redirect?to=$target"
        client().use { client ->
            client.get(url).use { assertEquals(1, it.summary.redirects) }
            val part = TwinpathRequest("GET", "${Lab.http}file?size=100", headers = listOf(Header("range", "bytes=0-9")))
            assertEquals("GET", part.method)
            client.send(part).use { response ->
                assertEquals(206, response.status)
                assertEquals(10, response.bytes().size)
                assertEquals(10L, response.progress.total)
            }
            client.send(TwinpathRequest("HEAD", part.url)).use { assertEquals(0, it.bytes().size) }
        }
        client { redirects = 0 }.use { client ->
            client.get(url).use { response ->
                assertEquals(302, response.status)
                val location = response.headers.first { it.name.equals("location", ignoreCase = true) }
                assertEquals(target, location.value)
            }
        }
    }

    @Test
    fun `what takes too long ends`() = inLab {
        val slow = "${Lab.http}file?size=10&head=5000"
        client { timeout = 100.milliseconds }.use { client ->
            assertEquals(ErrorKind.TIMED_OUT, failure { client.get(slow) }.kind)
        }
        val request = TwinpathRequest("GET", slow, timeout = 100.milliseconds)
        client().use { client -> assertEquals(ErrorKind.TIMED_OUT, failure { client.send(request) }.kind) }
    }

    @Test
    fun `a slow request goes over the backup as well`() = inLab {
        client(ServiceType.INTERACTIVE) { hedgeAfter = 50.milliseconds }.use { client ->
            client.get("${Lab.http}file?size=10&head=600").use { response ->
                response.bytes()
                assertEquals(1, response.summary.hedges)
            }
        }
    }

    @Test
    fun `what does no harm twice is said again`() = inLab {
        val post = TwinpathRequest("POST", "${Lab.https}apply?id=kotlin3&head=700", repeatable = true)
        client().use { client ->
            launch {
                while (Lab.order("applied id=kotlin3") == "0") delay(5)
                Lab.order("wifi blackhole")
            }
            client.send(post).use { response ->
                assertEquals(200, response.status)
                val summary = response.summary
                assertEquals(Triple(1, 0, 0), Triple(summary.replays, summary.restarts, summary.failbacks))
            }
        }
    }

    @Test
    fun `tls and the name are as they are asked for`() = inLab {
        client { tls.onlyTls13 = true }.use { client ->
            client.get("${Lab.https}file?size=10").use { assertEquals(200, it.status) }
        }
        val nonsense = failure {
            client {
                tls.certificate = "no certificate"
                tls.key = "no key"
            }
        }
        assertEquals(ErrorKind.INVALID_INPUT, nonsense.kind)
        assertEquals(ErrorKind.INVALID_INPUT, failure { client { userAgent = "of two\nlines" } }.kind)
    }

    /** Exported, and done without by the API of Kotlin, whose coroutines are cancelled by dropping what they wait for. */
    @Test
    fun `a call below is given up and a listener below misses nothing`() = inLab {
        val gateway = "${Lab.gatewayHost}:${Lab.gatewayPort}"
        Connector(ConnectorOptions(service = Service.HANDOVER, peer = FfiPeer.GATEWAY), Hooks()).use { connector ->
            val given = Cancellation().apply { cancel() }
            val failure = runCatching { connector.connect(gateway, given) }.exceptionOrNull()
            assertEquals(Kind.CANCELLED, (failure as Failure.Failed).kind)
            connector.connect(gateway, null).use { connection ->
                for (wait in listOf(connection::readable, connection::writable)) {
                    val given = (runCatching { wait(given) }.exceptionOrNull() as Failure.Failed).kind
                    assertEquals(Kind.CANCELLED, given)
                }
                val events = connection.events()
                assertEquals(1u, connection.tryWrite(ByteBuffer.allocateDirect(1)))
                connection.shutdown()
                assertEquals(0uL, events.missed())
            }
        }
    }
}
