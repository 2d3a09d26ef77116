package org.twinpath.demo

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.text.InputType
import android.util.TypedValue
import android.view.View
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.SeekBar
import android.widget.Spinner
import android.widget.TextView
import kotlinx.coroutines.Job
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import org.twinpath.ServiceType

/** The one screen. It draws what [Demo] says, and hands on what is tapped; it waits for nothing. */
class MainActivity : Activity() {
    private val demo get() = (application as DemoApplication).demo
    private val scope = MainScope()
    private var watching: Job? = null
    private var shown: Screen? = null

    private lateinit var server: EditText
    private lateinit var service: Spinner
    private lateinit var startStop: Button
    private lateinit var status: TextView
    private lateinit var echo: TextView
    private lateinit var chart: ChartView
    private lateinit var budget: TextView
    private lateinit var trouble: Spinner
    private lateinit var log: TextView
    private lateinit var share: Button

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        val column = LinearLayout(this).apply { orientation = LinearLayout.VERTICAL }
        column.setPadding(dp(16), dp(8), dp(16), dp(16))
        // Views keep what was typed and chosen when the screen is turned, by their ids.
        server = EditText(this).apply {
            id = R.id.server
            inputType = InputType.TYPE_CLASS_TEXT or InputType.TYPE_TEXT_VARIATION_URI
            setHint(R.string.server_hint)
            isSingleLine = true
            minHeight = dp(48)
        }
        service = choice(ServiceType.entries.map { words(it) }).apply { id = R.id.service }
        trouble = troubles()
        startStop = Button(this).apply { setOnClickListener { startOrStop() } }
        status = text(16f).apply { accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE }
        echo = text(14f)
        chart = ChartView(this)
        budget = text(14f)
        log = text(12f)
        share = Button(this).apply {
            setText(R.string.share)
            setOnClickListener { shareLog() }
        }
        column.labelled(R.string.server, server)
        column.labelled(R.string.service, service)
        column.addView(startStop, MATCH_PARENT, WRAP_CONTENT)
        column.addView(status, MATCH_PARENT, WRAP_CONTENT)
        column.addView(echo, MATCH_PARENT, WRAP_CONTENT)
        column.addView(legend(), MATCH_PARENT, WRAP_CONTENT)
        column.addView(chart, MATCH_PARENT, dp(240))
        column.addView(budget, MATCH_PARENT, WRAP_CONTENT)
        column.labelled(R.string.budget, budgetBar())
        column.labelled(R.string.trouble, trouble)
        column.labelled(R.string.log, share)
        column.addView(log, MATCH_PARENT, WRAP_CONTENT)
        setContentView(ScrollView(this).apply {
            // Newer systems draw apps below their bars.
            fitsSystemWindows = true
            addView(column)
        })
    }

    override fun onStart() {
        super.onStart()
        watching = scope.launch { demo.screen.collect(::show) }
    }

    override fun onStop() {
        watching?.cancel()
        super.onStop()
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    private fun show(screen: Screen) {
        startStop.change(Words(if (screen.state.isActive) R.string.stop else R.string.start))
        server.isEnabled = !screen.state.isActive
        service.isEnabled = !screen.state.isActive
        status.change(words(screen))
        echo.change(screen.echo)
        budget.change(screen.budget)
        chart.picture = screen.picture
        // A reset is over at once. What is chosen at this moment is left alone.
        if (screen.trouble != shown?.trouble) trouble.setSelection(screen.trouble.ordinal)
        shown = screen
        val lines = screen.log.takeLast(SHOWN).reversed().joinToString("\n") { resources.say(it) }
        if (log.text.toString() != lines) log.text = lines
        share.isEnabled = screen.log.isNotEmpty()
    }

    private fun startOrStop() {
        if (demo.screen.value.state.isActive) demo.stop()
        else demo.start(server.text.toString(), ServiceType.entries[service.selectedItemPosition])
    }

    private fun shareLog() {
        val text = demo.screen.value.log.joinToString("\n") { resources.say(it) }
        val send = Intent(Intent.ACTION_SEND).setType("text/plain").putExtra(Intent.EXTRA_TEXT, text)
        startActivity(Intent.createChooser(send, getString(R.string.share)))
    }

    private fun troubles() = choice(Trouble.entries.map { words(it) }).apply {
        setSelection(demo.screen.value.trouble.ordinal)
        onItemSelectedListener = object : AdapterView.OnItemSelectedListener {
            override fun onItemSelected(parent: AdapterView<*>?, view: View?, position: Int, id: Long) {
                // It is also told of what is so already, as after the screen was turned.
                if (position != demo.screen.value.trouble.ordinal) demo.make(Trouble.entries[position])
            }

            override fun onNothingSelected(parent: AdapterView<*>?) = Unit
        }
    }

    private fun budgetBar() = SeekBar(this).apply {
        max = BUDGETS.size
        progress = BUDGETS.indexOf(demo.screen.value.perDay?.div(1_000_000)).takeIf { it >= 0 } ?: max
        // As high as a finger needs; a bar does not heed its minimum.
        setPadding(paddingLeft, dp(16), paddingRight, dp(16))
        fun say() {
            contentDescription = resources.say(Words(R.string.budget_of, limit(budgetAt(progress))))
        }
        say()
        setOnSeekBarChangeListener(object : SeekBar.OnSeekBarChangeListener {
            override fun onProgressChanged(bar: SeekBar?, progress: Int, fromUser: Boolean) {
                say()
                if (fromUser) demo.allow(budgetAt(progress))
            }

            override fun onStartTrackingTouch(bar: SeekBar?) = Unit

            override fun onStopTrackingTouch(bar: SeekBar?) = Unit
        })
    }

    private fun budgetAt(place: Int) = BUDGETS.getOrNull(place)?.let { it * 1_000_000 }

    private fun legend() = LinearLayout(this).apply {
        for ((colour, name) in listOf(R.color.wifi to R.string.wifi, R.color.cellular to R.string.cellular)) {
            addView(text(14f).apply {
                setText(name)
                setTextColor(context.getColor(colour))
                setPadding(0, dp(12), dp(16), 0)
            })
        }
    }

    private fun choice(choices: List<Words>) = Spinner(this).apply {
        minimumHeight = dp(48)
        val names = choices.map { resources.say(it) }
        adapter = ArrayAdapter(context, android.R.layout.simple_spinner_item, names).apply {
            setDropDownViewResource(android.R.layout.simple_spinner_dropdown_item)
        }
    }

    private fun LinearLayout.labelled(label: Int, view: View) {
        if (view.id == View.NO_ID) view.id = View.generateViewId()
        addView(text(14f).apply {
            setText(label)
            labelFor = view.id
            setPadding(0, dp(12), 0, 0)
        }, MATCH_PARENT, WRAP_CONTENT)
        addView(view, MATCH_PARENT, WRAP_CONTENT)
    }

    private fun text(size: Float) = TextView(this).apply { setTextSize(TypedValue.COMPLEX_UNIT_SP, size) }

    /** What is the same is not said again. */
    private fun TextView.change(words: Words?) {
        val said = words?.let(resources::say).orEmpty()
        if (text.toString() != said) text = said
    }

    private fun dp(size: Int) = (size * resources.displayMetrics.density).toInt()

    private companion object {
        /** Steps of the budget, in MB; the one after the last is without limit. */
        val BUDGETS = listOf(1L, 2, 5, 10, 20, 50, 100, 200, 500)
        const val SHOWN = 40
    }
}
