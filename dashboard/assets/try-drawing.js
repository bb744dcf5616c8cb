// The picture and the boxes on it.

const MOST_SIDE_PX = 2560; // the API makes larger ones smaller by itself
const QUALITY = 0.95;
const SHRINK = 0.7;
const DRAWN_SIDE_PX = 1280; // at least, so that lines and words on a small picture are sharp

// Returns a picture upright, small enough for the API, and without what its file tells of place and
// time: what is sent is what is shown.
export async function prepared(file, limits) {
  const bitmap = await createImageBitmap(file);
  const {width, height} = bitmap;
  let scale = Math.min(
    1,
    MOST_SIDE_PX / Math.max(width, height),
    Math.sqrt(limits.pixels / (width * height)),
  );
  for (;;) {
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.floor(width * scale));
    canvas.height = Math.max(1, Math.floor(height * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "white"; // below what is transparent
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await encoded(canvas, QUALITY);
    if (blob.size <= limits.bytes || Math.max(canvas.width, canvas.height) < 16) {
      bitmap.close();
      return {canvas, blob};
    }
    scale *= SHRINK;
  }
}

export function encoded(canvas, quality) {
  return new Promise((done, failed) => {
    const given = (blob) => (blob ? done(blob) : failed(new Error("the picture is empty")));
    canvas.toBlob(given, "image/jpeg", quality);
  });
}

export function percent(share, digits) {
  const language = document.documentElement.lang;
  const options = {minimumFractionDigits: digits, maximumFractionDigits: digits};
  return `${(100 * share).toLocaleString(language, options)}\u202f%`;
}

export class Stage {
  constructor(canvas, names) {
    this.canvas = canvas;
    this.names = names;
    this.picture = null;
    this.faces = [];
    this.scale = 1; // pixels that are drawn in one of the picture
    const again = () => this.draw();
    window.addEventListener("resize", again);
    new MutationObserver(again).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-mantine-color-scheme"],
    });
  }

  // Shows a canvas, or nothing but the boxes over a video of this size.
  show(picture, width, height, faces) {
    this.picture = picture;
    this.faces = faces;
    this.scale = Math.max(1, DRAWN_SIDE_PX / Math.max(width, height));
    const size = [width, height].map((side) => Math.round(side * this.scale));
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) {
      [this.canvas.width, this.canvas.height] = size;
    }
    this.draw();
  }

  draw() {
    const {canvas} = this;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (this.picture) {
      context.drawImage(this.picture, 0, 0, canvas.width, canvas.height);
    }
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    // Pixels that are drawn in one of the screen.
    const across = canvas.width / (canvas.clientWidth || canvas.width);
    const unit = Math.max(across, canvas.height / (canvas.clientHeight || canvas.height));
    const boxes = this.faces.map(({box}) => box && rectangle(...box.map((at) => at * this.scale)));
    this.faces.forEach((face, index) => {
      if (boxes[index]) {
        frame(context, boxes[index], unit, colour("surface"), colour(face.emotion));
      }
    });
    const taken = [];
    this.faces.forEach((face, index) => {
      if (boxes[index]) {
        const others = [...boxes.filter((box, other) => box && other !== index), ...taken];
        taken.push(this.label(context, face, index, boxes[index], others, unit, colour));
      }
    });
  }

  // Writes above or below a box what is in it, or its number alone where more would cover others;
  // returns the place that this takes.
  label(context, face, index, box, others, unit, colour) {
    const number = String(index + 1);
    const told = `${number}  ${this.names[face.emotion]}  ${percent(face.confidence, 0)}`;
    context.font = `600 ${13 * unit}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    const height = 22 * unit;
    const place = (text, y) => {
      const width = context.measureText(text).width + 22 * unit;
      const x = Math.max(0, Math.min(box.x - 2.5 * unit, this.canvas.width - width));
      return {text, x, y, width, height};
    };
    const [above, below] = [box.y - height, box.y + box.height];
    const wanted = [place(told, above), place(told, below), place(number, above)];
    const fits = (at) =>
      at.y >= 0 &&
      at.y + height <= this.canvas.height &&
      !others.some((other) => overlap(at, other));
    const chosen = wanted.find(fits) ?? place(number, box.y);
    context.fillStyle = colour("surface");
    context.fillRect(chosen.x, chosen.y, chosen.width, height);
    context.fillStyle = colour(face.emotion);
    context.fillRect(chosen.x, chosen.y, 5 * unit, height);
    context.fillStyle = colour("text");
    context.fillText(chosen.text, chosen.x + 13 * unit, chosen.y + height / 2);
    return chosen;
  }
}

function rectangle(left, top, right, bottom) {
  return {x: left, y: top, width: right - left, height: bottom - top};
}

function overlap(one, other) {
  return (
    one.x < other.x + other.width &&
    other.x < one.x + one.width &&
    one.y < other.y + other.height &&
    other.y < one.y + one.height
  );
}

// Seen on any picture: a line of the colour within a wider one of the background.
function frame(context, {x, y, width, height}, unit, outer, inner) {
  context.lineJoin = "round";
  context.strokeStyle = outer;
  context.lineWidth = 5 * unit;
  context.strokeRect(x, y, width, height);
  context.strokeStyle = inner;
  context.lineWidth = 2.5 * unit;
  context.strokeRect(x, y, width, height);
}
