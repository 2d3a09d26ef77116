package org.twinpath

import com.sun.jna.Library
import com.sun.jna.Native
import java.io.File
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.delay
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

internal class ManyTest {
    @Test
    fun `two hundred connections survive wifi falling silent`() = inLab {
        connector().use { connector ->
            val connections = List(200) { async { connector.toGateway() } }.awaitAll()
            suspend fun echo(text: String) {
                connections.map { connection ->
                    async {
                        connection.write(text.toByteArray())
                        assertEquals(text, connection.readExactly(text.length).decodeToString())
                    }
                }.awaitAll()
            }
            echo("before")
            Lab.order("wifi blackhole")
            echo("after")
            // A hedge may have brought the answer; the path is condemned soon after.
            connections.forEach { while (it.stats.active != Role.BACKUP) delay(5) }
            connections.map { async { it.shutdown() } }.awaitAll()
            connections.forEach { it.close() }
        }
    }

    @Test
    fun `a thousand connections leave nothing behind`() = inLab(180.seconds) {
        val cycle = suspend {
            connector(Standby.COLD).use { it.toGateway() }.use { connection ->
                connection.write("hello".toByteArray())
                connection.readExactly(5)
                connection.shutdown()
            }
        }
        suspend fun cycles(number: Int) = (1..8).map { async { repeat(number / 8) { cycle() } } }.awaitAll()
        // The JVM compiles meanwhile, into memory that it keeps.
        cycles(600)
        val first = Footprint.now()
        var before = first
        // It stays within 4 MB over five thousand. The JVM takes some for itself now and then; what leaks, leaks each time.
        val grew = (1..3).all {
            cycles(1000)
            val after = Footprint.now()
            assertTrue(after.threads <= first.threads + 2, "$first, $after")
            assertTrue(after.descriptors <= first.descriptors + 4, "$first, $after")
            val growth = after.resident - before.resident
            before = after
            // What legs of the tests' own use is for the garbage collector to free, whenever it does.
            legs == null && growth > 8_000
        }
        assertFalse(grew, "$first, $before")
    }

    private data class Footprint(val threads: Int, val descriptors: Int, val resident: Int) {
        companion object {
            suspend fun now(): Footprint {
                // What was closed may still be ending.
                repeat(3) { System.gc(); delay(700) }
                // What the connections had, malloc keeps for the next ones: that is no growth.
                malloc.malloc_trim(0)
                val status = File("/proc/self/status").readLines().associate {
                    it.substringBefore(':') to it.substringAfter(':').trim().substringBefore(' ')
                }
                val threads = status.getValue("Threads").toInt()
                val descriptors = checkNotNull(File("/proc/self/fd").list()).size
                return Footprint(threads, descriptors, status.getValue("VmRSS").toInt())
            }
        }
    }
}

@Suppress("ktlint")
private interface Malloc : Library {
    fun malloc_trim(pad: Long): Int
}

private val malloc: Malloc by lazy { Native.load("c", Malloc::class.java) }
