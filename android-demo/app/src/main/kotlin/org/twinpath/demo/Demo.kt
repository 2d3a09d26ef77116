package org.twinpath.demo

import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.TimeSource
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.launch
import org.twinpath.Budget
import org.twinpath.Peer
import org.twinpath.RequestSummary
import org.twinpath.Role
import org.twinpath.ServiceType
import org.twinpath.TwinpathConnector
import org.twinpath.TwinpathEvent
import org.twinpath.TwinpathException
import org.twinpath.TwinpathOptions
import org.twinpath.TwinpathStats
import org.twinpath.faults.Fault
import org.twinpath.faults.FaultInjection
import org.twinpath.faults.inject

/** All that the screen shows, at one moment. */
data class Screen(
    val state: State = State.Idle,
    val mode: Words? = null,
    val protection: Words? = null,
    val echo: Words? = null,
    val perDay: Long? = 50_000_000,
    val budget: Words = words(Budget(perDay, 0, null)),
    val trouble: Trouble = Trouble.NONE,
    val picture: Picture = Chart().picture(),
    val log: List<Words> = emptyList(),
)

sealed interface State {
    data object Idle : State
    data object Connecting : State
    data object Running : State
    data object Stopped : State

    /** With the library's own words, which say what to do. */
    data class Failed(val why: Words) : State

    val isActive: Boolean get() = this is Connecting || this is Running
}

/** What can be wrong with Wi-Fi on purpose. */
enum class Trouble { NONE, SILENT, RESET, DELAY }

/**
 * What the app does, without its screen: it outlives activities, and everything in it happens one after the other, never on
 * the thread that draws. [connector] makes connectors: on a device, those that are tied to it.
 */
internal class Demo(private val connector: (TwinpathOptions.() -> Unit) -> TwinpathConnector) : Desk {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default.limitedParallelism(1))
    private val now = MutableStateFlow(Screen())
    private val faults by lazy { FaultInjection() }
    private var work: Job? = null
    private var current: TwinpathConnector? = null
    private var spent = 0L
    private var chart = Chart()
    private var began = TimeSource.Monotonic.markNow()
    private var worstEcho = Duration.ZERO

    val screen: StateFlow<Screen> get() = now.asStateFlow()

    fun start(server: String, service: ServiceType): Job = scope.launch {
        if (work?.isActive != true) work = scope.launch { run(server.trim(), service) }
    }

    fun stop(): Job = scope.launch { work?.cancel() }

    /** From now on, and in connections to come; but connections are reset once. */
    fun make(trouble: Trouble): Job = scope.launch {
        now.value = now.value.copy(trouble = trouble)
        if (current != null) apply(trouble)
        if (trouble == Trouble.RESET) now.value = now.value.copy(trouble = Trouble.NONE)
    }

    /** Bytes a day on cellular; without limit if `null`. */
    fun allow(perDay: Long?): Job = scope.launch {
        current?.setBudget(perDay)
        now.value = now.value.copy(perDay = perDay, budget = words(Budget(perDay, spent, null)))
    }

    private suspend fun run(server: String, service: ServiceType) {
        chart = Chart()
        began = TimeSource.Monotonic.markNow()
        worstEcho = Duration.ZERO
        now.value = now.value.run { Screen(State.Connecting, budget = budget, perDay = perDay, trouble = trouble) }
        val end = try {
            val target = Target.of(server) ?: return enter(State.Failed(Words(R.string.bad_server)))
            connector {
                this.service = service
                peer = if (target is Target.Gateway) Peer.GATEWAY else Peer.ANY
                budgetPerDay = now.value.perDay
                inject(faults)
            }.use { connector ->
                current = connector
                connector.setBudgetUsed(spent)
                if (now.value.trouble != Trouble.NONE) apply(now.value.trouble)
                when (target) {
                    is Target.Gateway -> connector.workThroughGateway(target.host, target.port, this)
                    is Target.Web -> connector.workOverHttp(target.url, this)
                }
            }
            State.Stopped
        } catch (failed: TwinpathException) {
            State.Failed(Words(R.string.failed, failed.message.orEmpty()))
        } catch (_: ServiceEnded) {
            State.Failed(Words(R.string.service_ended))
        } catch (stopped: CancellationException) {
            enter(State.Stopped)
            throw stopped
        } finally {
            current = null
        }
        enter(end)
    }

    private fun enter(state: State) {
        note(
            when (state) {
                State.Idle, State.Connecting -> Words(R.string.state_connecting)
                State.Running -> Words(R.string.state_running)
                State.Stopped -> Words(R.string.state_stopped)
                // What the library says names hosts; the log may be shared.
                is State.Failed -> Words(R.string.state_failed)
            },
        )
        now.value = now.value.copy(state = state, picture = chart.picture())
    }

    private fun apply(trouble: Trouble) {
        faults.set(
            Role.PRIMARY,
            when (trouble) {
                Trouble.SILENT -> Fault.Blackhole
                Trouble.DELAY -> Fault.Delay(300.milliseconds)
                Trouble.NONE, Trouble.RESET -> null
            },
        )
        if (trouble == Trouble.RESET) faults.reset(Role.PRIMARY)
        note(Words(R.string.log_trouble, words(trouble)))
    }

    override fun running() {
        if (now.value.state == State.Connecting) enter(State.Running)
    }

    override fun stands(stats: TwinpathStats) {
        val protection =
            if (stats.protection.isProtected) Words(R.string.is_protected)
            else Words(R.string.is_unprotected, stats.protection.description.substringAfter(": "))
        show(Words(R.string.because, words(stats.mode), stats.modeReason), protection)
    }

    override fun stands(summary: RequestSummary) {
        summary.mode?.let { show(words(it), Words(R.string.requests_protected)) }
    }

    private fun show(mode: Words, protection: Words) {
        chart.advance(began.elapsedNow())
        val budget = current?.budget?.also { spent = it.used }
        now.value = now.value.copy(
            mode = mode,
            protection = protection,
            budget = budget?.let(::words) ?: now.value.budget,
            picture = chart.picture(),
        )
    }

    override fun carried(connection: String, totals: List<Pair<Role, Long>>, isLast: Boolean) {
        val at = began.elapsedNow()
        totals.groupBy({ it.first }, { it.second }).forEach { (role, of) -> chart.count(connection, role, of.sum(), at) }
        if (isLast) chart.forget(connection)
    }

    override fun happened(connection: String, event: TwinpathEvent) {
        val at = began.elapsedNow()
        when (event) {
            is TwinpathEvent.Hedge -> chart.mark(connection, Picture.Kind.HEDGE, null, at)
            is TwinpathEvent.Failover -> chart.mark(connection, Picture.Kind.FAILOVER, event.stall, at)
            is TwinpathEvent.Failback -> chart.mark(connection, Picture.Kind.FAILBACK, null, at)
            is TwinpathEvent.Recovered -> chart.recovered(connection, event.stall)
            else -> Unit
        }
        words(event)?.let { note(Words(R.string.log_of, connection, it)) }
    }

    override fun happened(connection: String, before: RequestSummary?, now: RequestSummary) {
        val at = began.elapsedNow()
        fun grown(count: RequestSummary.() -> Int) = now.count() > (before?.count() ?: 0)
        fun mark(kind: Picture.Kind, stall: Duration?, words: Words) {
            chart.mark(connection, kind, stall, at)
            note(words)
        }
        if (grown { hedges }) mark(Picture.Kind.HEDGE, null, Words(R.string.log_hedge))
        if (grown { failovers }) {
            val words = Words(R.string.log_request_moved, now.worstStall.inWholeMilliseconds)
            mark(Picture.Kind.FAILOVER, now.worstStall, words)
        }
        if (grown { failbacks }) mark(Picture.Kind.FAILBACK, null, Words(R.string.log_failback))
    }

    override fun echoed(delay: Duration) {
        worstEcho = maxOf(worstEcho, delay)
        now.value = now.value.copy(echo = Words(R.string.echo, delay.inWholeMilliseconds, worstEcho.inWholeMilliseconds))
    }

    override fun failed(why: String) = note(Words(R.string.log_failed, why))

    /** The log has no addresses and no names of hosts, for it can be shared. */
    private fun note(words: Words) {
        val line = Words(R.string.log_line, began.elapsedNow().inWholeMilliseconds / 1000.0, words)
        now.value = now.value.copy(log = (now.value.log + line).takeLast(LINES))
    }

    companion object {
        const val LINES: Int = 500
    }
}
