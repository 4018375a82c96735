// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Who is in the newest set, and who has left it lately
/// @notice So that the sets of the present epoch and of those to come can be read in one call, at a cost that goes by the
/// number of members and not by how many have ever been some.
/// @dev Those that left are kept until no epoch that is still of interest counts them, and forgotten two at a time when
/// others leave, so no call loops over many.
library MemberList {
    /// @notice One that is in no newest set any more.
    struct Left {
        address operator;
        // The first epoch that does not count it.
        uint32 epoch;
    }

    /// @notice In no order.
    struct List {
        address[] members;
        Left[] left;
        // Places from 1; 0 for those that are not in the array.
        mapping(address operator => uint256) placeOf;
        mapping(address operator => uint256) leftPlaceOf;
        uint256 cursor;
    }

    uint256 private constant FORGOTTEN_AT_A_TIME = 2;

    /// @notice Whether `operator` is in the newest set.
    function contains(List storage self, address operator) internal view returns (bool) {
        return self.placeOf[operator] != 0;
    }

    /// @notice Adds one that is not in the newest set.
    function add(List storage self, address operator) internal {
        self.members.push(operator);
        self.placeOf[operator] = self.members.length;
    }

    /// @notice Removes one that is in the newest set.
    /// @param epoch The first epoch that does not count it.
    /// @param forget Those that no epoch from this one on counts are forgotten.
    /// @param counted Whether an epoch of interest counts it. Who came and went between two sets is not kept in mind, so
    /// that nobody makes the list long by that.
    function remove(List storage self, address operator, uint32 epoch, uint32 forget, bool counted) internal {
        uint256 place = self.placeOf[operator];
        address last = self.members[self.members.length - 1];
        self.members[place - 1] = last;
        self.placeOf[last] = place;
        self.members.pop();
        delete self.placeOf[operator];
        _forget(self, forget);
        if (counted) _noteLeft(self, operator, epoch);
    }

    /// @notice All that may have weight in the newest sets: the members and those that left, each once.
    function candidates(List storage self) internal view returns (address[] memory all) {
        uint256 count = self.members.length;
        all = new address[](count + self.left.length);
        for (uint256 i; i < count; ++i) {
            all[i] = self.members[i];
        }
        for (uint256 i; i < self.left.length; ++i) {
            address operator = self.left[i].operator;
            if (self.placeOf[operator] == 0) all[count++] = operator;
        }
        assembly ("memory-safe") {
            mstore(all, count)
        }
    }

    function _noteLeft(List storage self, address operator, uint32 epoch) private {
        uint256 place = self.leftPlaceOf[operator];
        if (place != 0) {
            self.left[place - 1].epoch = epoch;
            return;
        }
        self.left.push(Left(operator, epoch));
        self.leftPlaceOf[operator] = self.left.length;
    }

    function _forget(List storage self, uint32 epoch) private {
        for (uint256 i; i < FORGOTTEN_AT_A_TIME && self.left.length > 0; ++i) {
            uint256 place = self.cursor % self.left.length;
            Left memory oldest = self.left[place];
            if (oldest.epoch > epoch) {
                self.cursor = place + 1;
                continue;
            }
            Left memory last = self.left[self.left.length - 1];
            self.left[place] = last;
            self.leftPlaceOf[last.operator] = place + 1;
            self.left.pop();
            delete self.leftPlaceOf[oldest.operator];
        }
    }
}
