package org.twinpath

import kotlinx.coroutines.delay
import org.junit.jupiter.api.Test

/** What calls cost with data ready, in one run: not a test, and only run when it is named (`-Dtest=SpeedBench`). */
internal class SpeedBench {
    @Test
    fun calls() = inLab {
        connector().use { it.toGateway() }.use { connection ->
            val data = pattern(PIECE)
            val (writes, reads, stats) = List(3) { mutableListOf<Double>() }
            repeat(300) {
                writes += micros { connection.write(data) }
                // Until all of it has come back and is ready.
                while (connection.stats.acknowledged < connection.stats.written) delay(1)
                delay(60)
                var got = 0
                reads += micros { got += checkNotNull(connection.read()).size }
                stats += micros { connection.stats }
                while (got < PIECE) got += checkNotNull(connection.read(PIECE - got)).size
            }
            println("write 64 KiB ${median(writes)} µs, read 64 KiB ${median(reads)} µs, stats ${median(stats)} µs")
        }
    }

    private inline fun micros(call: () -> Unit): Double {
        val began = System.nanoTime()
        call()
        return (System.nanoTime() - began) / 1000.0
    }

    private fun median(all: List<Double>) = all.drop(all.size / 3).sorted().let { it[it.size / 2] }
}
