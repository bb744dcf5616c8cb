// The camera: its frames are asked about one after the other, as fast as they are answered.

import {encoded} from "./try-drawing.js";

const QUALITY = 0.85;
const HELD_QUALITY = 0.95;
const WANTED = {width: {ideal: 640}, height: {ideal: 480}, facingMode: "user"};

export class Camera {
  // `reads` takes a frame as a JPEG and returns when it is answered; `failed` is told why not, and
  // returns how long to wait.
  constructor(video, {reads, failed, ended}) {
    this.video = video;
    this.reads = reads;
    this.failed = failed;
    this.ended = ended;
    this.stream = null;
    this.canvas = document.createElement("canvas");
    video.muted = true;
    video.playsInline = true;
  }

  get size() {
    return [this.video.videoWidth, this.video.videoHeight];
  }

  // Raises the browser's own error when there is no camera, or it is not allowed.
  async start() {
    const stream = await navigator.mediaDevices.getUserMedia({video: WANTED, audio: false});
    this.stop();
    this.stream = stream;
    for (const track of stream.getTracks()) {
      track.addEventListener("ended", () => this.stream === stream && this.ended());
    }
    this.video.srcObject = stream;
    await this.video.play();
    this.run(stream);
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) {
      track.stop();
    }
    this.stream = null;
    this.video.srcObject = null;
  }

  frame(quality = QUALITY, canvas = this.canvas) {
    [canvas.width, canvas.height] = this.size;
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    return encoded(canvas, quality);
  }

  // Returns the frame that is seen now, to be kept, and ends.
  async hold() {
    const canvas = document.createElement("canvas"); // frames go on being drawn on the other one
    const blob = await this.frame(HELD_QUALITY, canvas);
    this.stop();
    return {canvas, blob};
  }

  async run(stream) {
    for (;;) {
      // None comes while the page is hidden, and none that has been asked about comes again.
      await new Promise((done) => this.video.requestVideoFrameCallback(done));
      if (this.stream !== stream) {
        return;
      }
      try {
        const blob = await this.frame();
        await this.reads(blob, () => this.stream === stream);
      } catch (error) {
        if (this.stream === stream) {
          await new Promise((done) => setTimeout(done, this.failed(error)));
        }
      }
    }
  }
}
