// Runs ahead of the page's own scripts, in each of its frames. Times are those of performance.now(), in milliseconds.
(() => {
  const PATIENCE = 30_000;
  const frameOf = window.requestAnimationFrame.bind(window);
  const probe = { rendered: null, firstPaint: null, drawings: 0, charts: 0, answered: {}, chartsBefore: 0 };
  window.tabProbe = probe;

  // render() begins with the title.
  const title = Object.getOwnPropertyDescriptor(Document.prototype, 'title');
  Object.defineProperty(Document.prototype, 'title', {
    ...title,
    set(text) {
      if (text === 'Grad Health') probe.rendered ??= performance.now();
      title.set.call(this, text);
    },
  });

  const { drawImage, stroke, fill } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.drawImage = function (...given) {
    if (this.canvas.dataset.testid === 'heatmap') probe.drawings++;
    return drawImage.apply(this, given);
  };
  for (const [name, real] of Object.entries({ stroke, fill }))
    CanvasRenderingContext2D.prototype[name] = function (...given) {
      if (this.canvas.closest?.('.plot')) probe.charts++;
      return real.apply(this, given);
    };

  const fetched = window.fetch;
  window.fetch = async (...given) => {
    const answer = await fetched(...given);
    const route = new URL(answer.url).pathname.split('/').pop();
    probe.answered[route] = (probe.answered[route] ?? 0) + 1;
    if (route === 'lines') probe.chartsBefore = probe.charts;
    return answer;
  };

  // Callbacks of one frame share its time.
  let frame = { time: null, ms: 0 };
  let waiting = null;
  window.requestAnimationFrame = (callback) =>
    frameOf((time) => {
      const begin = performance.now();
      try {
        callback(time);
      } finally {
        const end = performance.now();
        frame = { time, ms: (frame.time === time ? frame.ms : 0) + end - begin };
        look(end);
      }
    });

  function look(now) {
    if (probe.firstPaint === null && window.gradHealth?.ready) {
      probe.firstPaint = now;
      // What was drawn in this frame can be seen when the next one begins.
      frameOf(() => {
        probe.firstSeen = performance.now();
        console.debug('first picture');
      });
    }
    if (waiting?.done()) {
      waiting.resolve(now - waiting.begin);
      waiting = null;
    }
  }

  /** Milliseconds from the begin of `act` to the end of the frame's drawing after which `done` holds. */
  probe.until = (act, done) =>
    new Promise((resolve, reject) => {
      waiting = { done, resolve, begin: performance.now() };
      act();
      const again = () => {
        look(performance.now());
        if (waiting !== null && performance.now() - waiting.begin > PATIENCE) {
          waiting = null;
          reject(new Error(`expected within ${PATIENCE / 1e3} s: ${done}; got ${JSON.stringify(window.gradHealth.state())}`));
        } else if (waiting !== null) frameOf(again);
      };
      frameOf(again);
    });

  const part = (name) => document.querySelector(`[data-testid=${name}]`);
  const state = () => window.gradHealth.state();
  probe.complete = () => state().complete;

  probe.chosen = (name, value) => {
    const [select, before] = [part(name), probe.drawings];
    return probe.until(
      () => {
        select.value = value;
        select.dispatchEvent(new Event('change', { bubbles: true }));
      },
      () => probe.drawings > before && state().complete,
    );
  };

  probe.scaled = (value) => {
    const before = probe.drawings;
    return probe.until(
      () => part('scale').querySelector(`[value=${value}]`).click(),
      () => probe.drawings > before && state().complete,
    );
  };

  /** Until as many rows are unfolded as `enough` says and have been drawn, with all their tiles if `complete`. */
  probe.folded = (name, least, most, complete) => {
    const before = probe.drawings;
    const rows = () => state().visibleNodes.length;
    return probe.until(
      () => part(name).click(),
      () => probe.drawings > before && rows() >= least && rows() <= most && (!complete || state().complete),
    );
  };

  /** Until the chart of the clicked cell, which is opened anew, has been drawn from an answer that came since. */
  probe.drilled = async (node, step) => {
    part('close-drill')?.click();
    await new Promise((resolve) => setTimeout(resolve, 400));
    const canvas = part('heatmap');
    const box = canvas.getBoundingClientRect();
    const rect = window.gradHealth.rectOf(node, step);
    const place = {
      bubbles: true, cancelable: true, button: 0, pointerId: 1, pointerType: 'mouse',
      clientX: box.left + rect.x + rect.width / 2, clientY: box.top + rect.y + rect.height / 2,
    };
    const answered = probe.answered.lines ?? 0;
    return probe.until(
      () => {
        canvas.dispatchEvent(new PointerEvent('pointerdown', place));
        canvas.dispatchEvent(new PointerEvent('pointerup', place));
      },
      () =>
        (probe.answered.lines ?? 0) > answered &&
        probe.charts > probe.chartsBefore &&
        part('chart-note').textContent === '',
    );
  };

  const MOTIONS = {
    none: () => undefined,
    move: (canvas, i) => {
      const box = canvas.getBoundingClientRect();
      const phase = i % 240;
      const at = { bubbles: true, cancelable: true, clientX: box.left + box.width * (0.2 + 0.6 * ((i * 0.37) % 1)) };
      const wheel = (more) => canvas.dispatchEvent(new WheelEvent('wheel', { ...at, clientY: box.top + 100, ...more }));
      if (phase === 0)
        canvas.dispatchEvent(new PointerEvent('pointermove', { ...at, clientY: box.top + 100, pointerType: 'mouse' }));
      if (phase < 60) wheel({ ctrlKey: true, deltaY: -25 });
      else if (phase < 180) wheel({ shiftKey: true, deltaY: phase < 120 ? 24 : -24 });
      else wheel({ ctrlKey: true, deltaY: 25 });
    },
    scroll: (canvas, i) => {
      const box = canvas.closest('.scroller');
      const down = Math.floor(i / 60) % 2 === 0;
      box.scrollTop += down ? 37 : -37;
    },
    hover: (canvas, i) => {
      const box = canvas.getBoundingClientRect();
      const clientX = box.left + 20 + ((i * 97) % (box.width - 40));
      const clientY = box.top + 5 + ((i * 31) % (box.height - 10));
      const at = { bubbles: true, clientX, clientY, pointerId: 1, pointerType: 'mouse' };
      canvas.dispatchEvent(new PointerEvent('pointermove', at));
    },
  };

  /**
   * Moves once a frame, in a task of its own behind it. `intervals` between frames; `draws`: what the page's own
   * callbacks took in each frame; `handled`: listeners, and what the page renders right behind them.
   */
  probe.frames = (count, motion) =>
    new Promise((resolve) => {
      const [canvas, act] = [part('heatmap'), MOTIONS[motion]];
      const found = { intervals: [], draws: [], handled: [], drawings: probe.drawings };
      const task = new MessageChannel();
      let [last, i, seen] = [null, 0, frame.time];
      task.port1.onmessage = () => {
        const began = performance.now();
        act(canvas, i++);
        // Preact renders in a microtask that was queued before this one.
        queueMicrotask(() => queueMicrotask(() => found.handled.push(performance.now() - began)));
      };
      const step = () => {
        const begin = performance.now();
        if (last !== null) found.intervals.push(begin - last);
        last = begin;
        if (frame.time !== seen) found.draws.push(frame.ms);
        seen = frame.time;
        if (i === count) {
          found.drawings = probe.drawings - found.drawings;
          resolve(found);
          return;
        }
        task.port2.postMessage(null);
        frameOf(step);
      };
      frameOf(step);
    });

  /** The heatmap's pixels in a rectangle of CSS pixels, as one list of red, green, blue. */
  probe.pixels = ({ x, y, width, height }) => {
    const [canvas, ratio] = [part('heatmap'), window.devicePixelRatio];
    const [left, top] = [Math.round(x * ratio), Math.round(y * ratio)];
    const size = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
    const { data } = canvas.getContext('2d').getImageData(left, top, ...size);
    return Array.from(data).filter((_, i) => i % 4 < 3);
  };

  probe.size = () => [part('heatmap').clientWidth, part('heatmap').clientHeight];

  /** A number that tells pictures apart. */
  probe.fingerprint = () => {
    const canvas = part('heatmap');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Uint32Array(data.buffer).reduce((hash, word) => (Math.imul(hash, 31) + word) | 0, 0);
  };
})();
