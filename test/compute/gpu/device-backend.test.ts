import test from "ava";
import { createDeviceBackend } from "../../../src/compute/gpu/device-backend.js";
import type { DeviceMatrix, GpuDevice } from "../../../src/compute/gpu/gpu-device.js";
import { randomMatrix } from "../../helpers/random.js";

test("a product whose R does not fit the device leaves no L there", async (t) => {
  let held = 0;
  const unused = async (): Promise<never> => {
    throw new Error("not in this test");
  };
  const device: GpuDevice<DeviceMatrix> = {
    description: "a device with room for L",
    maxNumbers: 1000,
    maxRows: 4,
    uploadSide: async ({ rows, columns }, side) => {
      if (side === "right") throw new Error("out of memory");
      held++;
      return {
        rows,
        columns,
        bytes: 4 * rows * columns,
        free: () => {
          held--;
        },
      };
    },
    uploadSum: unused,
    add: unused,
    read: unused,
    dispose: async () => {},
  };
  const loading = createDeviceBackend(device).load({ left: randomMatrix(10, 3, 1), right: randomMatrix(5, 3, 2) });
  await t.throwsAsync(loading, { message: "out of memory" });
  t.is(held, 0);
});
